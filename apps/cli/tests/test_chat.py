import io
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Handler(BaseHTTPRequestHandler):
    """Streams the words of an answer as OpenAI does, and keeps what it was asked."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.headers["Authorization"], body))
        if body["model"] != "tiny":
            self.reply(404, "application/json", b'{"error": {"message": "no such model"}}')
            return
        chunks = [
            {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "tiny", "choices": choices}
            for choices in (
                [{"index": 0, "delta": {"role": "assistant"}}],
                [{"index": 0, "delta": {"content": "Use "}}],
                [{"index": 0, "delta": {"content": "ls 日本"}}],
                [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                [],
            )
        ]
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
        self.reply(200, "text/event-stream", "".join(lines).encode())

    def reply(self, status, kind, content):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.asked = []
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_port}/v1"


def test_an_adapter_answers_one_message(tunedassist, finished):
    adapter = finished[1] / "adapter"
    code, printed, told = tunedassist("chat", adapter, "-m", "Show the alpha please")
    assert code == 0, told
    longer = tunedassist("chat", adapter, "-m", "Show the alpha please", "--max-tokens", 30)[1]
    assert longer.startswith(printed.rstrip("\n"))
    assert len(longer) > len(printed)
    hot = ("--temperature", 3, "--max-tokens", 30)
    assert tunedassist("chat", adapter, "-m", "Show the alpha please", *hot)[1] != longer
    other = ("--system", "Something else altogether.", "--max-tokens", 30)
    assert tunedassist("chat", adapter, "-m", "Show the alpha please", *other)[1] != longer


def test_a_server_answers_streaming_with_the_options_given(tunedassist, server, url, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    code, printed, told = tunedassist(
        *("chat", url, "--model", "tiny", "-m", "Hi", "--system", "S"),
        *("--max-tokens", 7, "--temperature", 0.5, "--api-key-env", "MY_KEY"),
    )
    assert (code, printed) == (0, "Use ls 日本\n"), told
    ((authorization, body),) = server.asked
    assert authorization == "Bearer secret"
    assert body == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "stream": True,
    }


def test_one_answer_can_be_had_as_json(tunedassist, url):
    code, printed, told = tunedassist("chat", url, "--model", "tiny", "-m", "How?", "--json")
    assert code == 0, told
    assert json.loads(printed) == {"answer": "Use ls 日本", "model": f"tiny at {url}"}


def test_a_conversation_is_no_json(tunedassist, url):
    code, _, told = tunedassist("chat", url, "--model", "tiny", "--json")
    assert (code, "only with --message" in told) == (3, True)


def test_a_server_decides_what_was_not_given(tunedassist, server, url, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert tunedassist("chat", url, "--model", "tiny", "-m", "Hi")[0] == 0
    assert set(server.asked[0][1]) == {"model", "messages", "stream"}


def test_a_conversation_with_a_server_keeps_its_history(tunedassist, server, url, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\n"))
    code, printed, told = tunedassist("chat", url, "--model", "tiny")
    assert code == 0
    assert printed == "Use ls 日本\n" * 2
    assert f"tiny at {url}" in told
    assert [m["content"] for m in server.asked[1][1]["messages"]] == ["one", "Use ls 日本", "two"]


def test_what_a_server_refuses_is_one_line(tunedassist, url):
    code, _, told = tunedassist("chat", url, "--model", "other", "-m", "Hi")
    assert code == 3
    assert "404" in told
    assert told.count("\n") == 1


def test_no_server_is_one_line(tunedassist):
    code, _, told = tunedassist("chat", "http://127.0.0.1:9/v1", "--model", "tiny", "-m", "Hi")
    assert code == 5
    assert told == "error: http://127.0.0.1:9/v1: no server answers there: is it running?\n"


def test_options_that_do_not_fit_the_target_are_refused(tunedassist, finished, url):
    assert tunedassist("chat", url, "-m", "Hi")[::2] == (
        3,
        f"error: {url}: which model? pass --model NAME\n",
    )
    code, _, told = tunedassist("chat", finished[1] / "adapter", "-m", "Hi", "--model", "tiny")
    assert code == 3
    assert "only with a URL" in told


def test_without_openai_the_install_line_is_named(tunedassist, url, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    code, _, told = tunedassist("chat", url, "--model", "tiny", "-m", "Hi")
    assert code == 5
    assert "install tunedassist-cli[chat]" in told
