"""A small real server that speaks chat completions, and benchmarks to ask it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from judge_fixtures import Cli, answer_files

from ta_eval.cli import main


class ChatServer:
    """Answers `answers[question]` (else `default`); misbehaves as told; remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.default = "no idea"
        self.delay_s = 0.0
        self.finish_reason = "stop"
        self.faults: list[tuple[int, dict[str, str]]] = []
        """Statuses and headers that the next requests get."""
        self.broken: dict[str, int] = {}
        """Question: the status it always gets (0: the connection is cut)."""
        self.busy_every = 0
        """Every so many requests one is told 429."""
        self.raw: bytes | None = None
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: list[str] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"chat": self})
        self.httpd = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()

    @property
    def questions(self) -> list[str]:
        return [request["messages"][-1]["content"] for request in self.requests]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        chat = self.chat
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with chat.lock:
            chat.requests.append({**body, "path": self.path})
            chat.times.append(time.monotonic())
            chat.keys.append(self.headers.get("authorization", ""))
            chat.in_flight += 1
            chat.most_in_flight = max(chat.most_in_flight, chat.in_flight)
            fault = chat.faults.pop(0) if chat.faults else None
            if chat.busy_every and len(chat.requests) % chat.busy_every == 0:
                fault = (429, {"retry-after": "0.02"})
        time.sleep(chat.delay_s)
        with chat.lock:
            chat.in_flight -= 1
        question = body["messages"][-1]["content"]
        if question in chat.broken:
            fault = (chat.broken[question], {})
        if fault and fault[0] == 0:
            self.close_connection = True
            self.connection.close()
        elif fault:
            self._send(fault[0], json.dumps({"error": {"message": "injected"}}).encode(), fault[1])
        elif not self.path.endswith("/v1/chat/completions"):
            self._send(404, b'{"error": {"message": "no such page"}}', {})
        elif chat.raw is not None:
            self._send(200, chat.raw, {})
        else:
            self._send(200, json.dumps(self._completion(question)).encode(), {})

    def _completion(self, question: str) -> dict[str, Any]:
        text = self.chat.answers.get(question, self.chat.default)
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "stub",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": self.chat.finish_reason,
                }
            ],
            "usage": {"prompt_tokens": 3, "completion_tokens": len(text.split()), "total_tokens": 9},
        }

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    chat = ChatServer()
    yield chat
    chat.close()


def item(number: int, **fields: Any) -> dict[str, Any]:
    """An exact-match row: the question is `question <number>`, the right answer its number."""
    row: dict[str, Any] = {
        "id": f"item-{number:03}",
        "category": ("files", "text", "users")[number % 3],
        "messages": [{"role": "user", "content": f"question {number}"}],
        "scorer": "exact",
        "references": [str(number)],
    }
    return row | fields


@pytest.fixture
def make_item() -> Callable[..., dict[str, Any]]:
    return item


@pytest.fixture
def write_benchmark(tmp_path: Path) -> Callable[..., Path]:
    """`write_benchmark(12)` or `write_benchmark([rows])`: a benchmark file."""

    def write(rows: int | list[dict[str, Any]], name: str = "benchmark.jsonl") -> Path:
        if isinstance(rows, int):
            rows = [item(number) for number in range(rows)]
        file = tmp_path / name
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return file

    return write


class Done(NamedTuple):
    """What a finished command left."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run `ta-eval` through its entry point, in this process for speed (test_kill starts real ones)."""

    def call(*arguments: object, **environment: str) -> Done:
        with monkeypatch.context() as patch:
            patch.delenv("OPENAI_API_KEY", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["ta-eval", *map(str, arguments)])
            capsys.readouterr()
            with pytest.raises(SystemExit) as left:
                main()
        captured = capsys.readouterr()
        return Done(int(left.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def start_cli() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `ta-eval` and go on; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            cli_command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
            # A shell starts background jobs with Ctrl-C ignored; children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def cli_command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from ta_eval.cli import main; main()", *map(str, arguments)]


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"} | {"COLUMNS": "200"}


class JudgeServer:
    """Speaks chat completions; `answer(body)` gives the text, or a status (and a message) sent instead.

    With `embed` also embeddings: the vector of a text.
    """

    def __init__(
        self, answer: Callable[[dict[str, Any]], Any], embed: Callable[[str], list[float]] | None = None
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        requests, lock = self.requests, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: else each answer waits 40 ms

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    requests.append(body)
                if embed and self.path.endswith("/embeddings"):
                    vectors = [{"index": at, "embedding": embed(text)} for at, text in enumerate(body["input"])]
                    self.reply(200, {"data": vectors[::-1]})
                    return
                said = answer(body)
                refused = (said, "refused") if isinstance(said, int) else said
                status, text = (200, said) if isinstance(said, str) else refused
                message = {"role": "assistant", "content": text}
                usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                failed = {"error": {"message": text}}
                self.reply(status, failed if status != 200 else {"choices": [choice], "usage": usage})

            def reply(self, status: int, told: dict[str, Any]) -> None:
                sent = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

        self.httpd = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()


@pytest.fixture
def judge_server() -> Iterator[Callable[..., JudgeServer]]:
    """`judge_server(answer)` starts one; all are closed at the end."""
    started: list[JudgeServer] = []

    def start(answer: Callable[[dict[str, Any]], Any], **more: Any) -> JudgeServer:
        started.append(JudgeServer(answer, **more))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def judge(cli: Cli, tmp_path: Path) -> Callable[..., Any]:
    """`ta-eval judge pairs` over `count` items against a server."""

    def call(server: Any, *more: object, count: int = 10, out: str = "judge", **environment: str) -> Any:
        files = answer_files(tmp_path, count)
        where = ["--judge-url", server.url, "--judge-model", "stub-1", "--out", tmp_path / out]
        return cli("judge", "pairs", *files, *where, "--json", *more, **environment)

    return call
