"""A real server on loopback, and a client for it."""

import json
import threading
import time
from contextlib import contextmanager

import httpx2

http = httpx2.Client(verify=False, timeout=30)  # one for all tests: making a TLS context costs 40 ms

CHAT = "/v1/chat/completions"


def chat(content="one two three", **fields):
    """The body of a chat of one message."""
    return {"messages": [{"role": "user", "content": content}], **fields}


stopping = []
"""Threads of servers that were told to stop, which takes 0.3 s: joined when all tests are over."""


@contextmanager
def running_server(engine, *, settings=None, guard=None, retrieval=None, environment_keys="", **options):
    """A real uvicorn on a free port of loopback: gives (base URL, service). `engine=None`: still loading."""
    from ta_serve.config import Settings
    from tunedassist_api.config import Config
    from tunedassist_api.keys import KeyRing
    from tunedassist_api.server import Server, bind
    from tunedassist_api.service import Service

    config = Config(**{"name": "tiny", "parallel": 4, "deadline_s": 20.0, "drain_s": 5.0, **options})
    service = Service(config, KeyRing(config.keys_file, environment_keys), guard, retrieval)
    if engine is not None:
        service.use(engine, settings or Settings())
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = Server(service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}", service, server
    finally:
        server.should_exit = True
        stopping.append(thread)
        if engine is not None:
            engine.close()


def events(answer):
    """The chunks of a stream."""
    lines = [line for line in answer.text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def text_of(chunks):
    """The text of a chat's chunks."""
    return "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"])


def until(condition, *, within_s=5.0):
    """Wait for something that happens on another thread."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s} s"
        time.sleep(0.01)
