"""The server as a process: how it starts, how it stops, what it leaves behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx2
import pytest
from api_fixtures import CHAT, chat, events, http, until

SCRIPT = Path(__file__).parent / "serve_words.py"


class Process:
    """A server in a process of its own; its log lines are read as they come."""

    def __init__(self, *options):
        command = [sys.executable, str(SCRIPT), *options]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TUNEDASSIST")}
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.lines = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append(json.loads(line) if line.startswith("{") else {"event": line.strip()})

    def has(self, event):
        return any(line["event"] == event for line in self.lines)

    def wait_for(self, event):
        until(lambda: self.has(event) or self.process.poll() is not None, within_s=60)
        assert self.has(event), self.lines

    @property
    def url(self):
        self.wait_for("listening")
        (line,) = [line for line in self.lines if line["event"] == "listening"]
        return line["url"].removesuffix("/v1")

    def end(self, sig=None):
        """Exit code and what was printed after the log."""
        if sig is not None:
            self.process.send_signal(sig)
        code = self.process.wait(timeout=60)
        self.reader.join()
        return code, [line["event"] for line in self.lines]


@pytest.fixture
def run():
    begun = []

    def begin(*options):
        begun.append(Process(*options))
        return begun[-1]

    yield begin
    for process in begun:
        process.process.kill()
        process.process.wait()
        process.reader.join()
        process.process.stdout.close()
        process.process.stderr.close()


def stream_in_background(url, words):
    answers = []
    body = chat(" ".join(["word"] * words), stream=True)

    def ask():
        with httpx2.Client(verify=False, timeout=30) as client:
            answers.append(client.post(url + CHAT, json=body))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


def test_sigterm_lets_answers_end_refuses_new_ones_and_exits_with_0(run):
    server = run("step_s=0.05")
    server.wait_for("ready")
    thread, answers = stream_in_background(server.url, 30)
    until(lambda: http.get(server.url + "/readyz").json()["queue"]["inside"] == 1)
    server.process.send_signal(signal.SIGTERM)
    server.wait_for("draining")
    with pytest.raises(httpx2.TransportError):
        httpx2.get(server.url + "/readyz", verify=False)
    thread.join()
    assert events(answers[0])[-1]["choices"][0]["finish_reason"] == "stop"
    assert server.end()[0] == 0
    assert server.has("stopped")


@pytest.mark.slow
def test_answers_that_outlast_the_drain_time_end_with_an_error_event(run):
    server = run("step_s=0.2", "drain_s=0.5")
    server.wait_for("ready")
    thread, answers = stream_in_background(server.url, 60)
    until(lambda: http.get(server.url + "/readyz").json()["queue"]["inside"] == 1)
    assert server.end(signal.SIGTERM)[0] == 0
    thread.join()
    assert events(answers[0])[-1]["error"]["code"] == "closed"


@pytest.mark.slow
def test_ctrl_c_exits_with_130(run):
    server = run()
    server.wait_for("ready")
    assert server.end(signal.SIGINT)[0] == 130


@pytest.mark.slow
def test_it_listens_while_it_loads_and_ctrl_c_does_not_wait_for_that(run):
    server = run("load_s=60")
    assert http.get(server.url + "/readyz").json()["status"] == "loading"
    assert server.end(signal.SIGINT)[0] == 130


def test_a_model_that_cannot_be_loaded_is_one_line_before_the_server_listens(run):
    code, printed = run("fail=1", "load_s=0.3").end()
    assert (code, printed) == (3, ["error: tiny.gguf: truncated: copy it again"])


@pytest.mark.slow
def test_a_model_that_turns_out_bad_while_the_server_listens_ends_it_with_one_line(run):
    server = run("fail=1", "load_s=5")
    assert http.get(server.url + "/readyz").json()["status"] == "loading"
    code, printed = server.end()
    assert (code, printed[-1]) == (3, "error: tiny.gguf: truncated: copy it again")
    assert not server.has("ready")


def test_a_model_that_loads_at_once_is_ready_when_the_server_listens(run):
    server = run("load_s=0.3")
    server.wait_for("listening")
    assert http.get(server.url + "/readyz").json()["status"] == "ready"


def test_a_port_in_use_is_one_line(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, printed = run(f"port={port}").end()
    assert code == 5
    assert printed == [f"error: 127.0.0.1 port {port}: in use: stop what listens there or name another --port"]


@pytest.mark.slow
def test_a_host_that_is_none_is_one_line(run):
    code, printed = run('host="no.such.host.invalid"').end()
    assert (code, printed) == (3, ["error: --host no.such.host.invalid: no such address"])


@pytest.mark.slow
def test_beyond_loopback_without_keys_is_warned_of(run):
    server = run('host="0.0.0.0"')
    server.wait_for("open_to_the_network")
    server.wait_for("ready")
    port = server.url.rpartition(":")[2]
    assert http.get(f"http://127.0.0.1:{port}/readyz").status_code == 200


@pytest.mark.slow
def test_on_loopback_nothing_is_warned_of(run):
    server = run()
    server.wait_for("ready")
    assert not server.has("open_to_the_network")
