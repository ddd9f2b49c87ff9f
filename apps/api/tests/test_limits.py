"""What bounds a request: its size, the queue, the clock, the caller's patience."""

import asyncio
import json
import socket
import threading
import time

import httpx2
import pytest
from api_fixtures import CHAT, chat, events, http, until
from word_engine import WordEngine

from tunedassist_api.middleware import body

LONG = " ".join(["word"] * 50)


@pytest.fixture
def slow(start):
    """An engine of two places that needs a second for an answer, a queue of two: (URL, service, engine)."""
    engine = WordEngine(step_s=0.02, slots=2)
    url, service = start(engine, parallel=2, max_queue=2, deadline_s=10.0)
    return url, service, engine


def busy(url, how_many, **fields):
    """So many requests at the same time, each on its thread; gives the answers when joined."""
    answers = []

    def ask():
        with httpx2.Client(verify=False, timeout=30) as client:
            answers.append(client.post(url + CHAT, json=chat(LONG, **fields)))

    threads = [threading.Thread(target=ask) for _ in range(how_many)]
    for thread in threads:
        thread.start()
    return threads, answers


def half_sent(url, length, body=b""):
    """What is answered to a request whose body never arrives whole."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{head}content-length: {length}\r\n\r\n".encode() + body)
        answer = b""
        while not answer.endswith(b"}}"):
            answer += connection.recv(4096)
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)["error"]["code"]


def test_a_large_body_is_refused_by_its_announced_length_before_it_is_sent(start):
    url, _ = start(WordEngine(), max_body_bytes=1000)
    assert half_sent(url, 20_000_000) == (413, "request_too_large")


def test_a_body_that_does_not_arrive_is_given_up(url, monkeypatch):
    monkeypatch.setattr(body, "_ARRIVAL_S", 0.2)
    assert half_sent(url, 100, b"{") == (408, "body_timeout")


def test_a_large_body_without_a_length_is_refused_where_it_grows_too_large(start):
    url, service = start(WordEngine(), max_body_bytes=1000)

    def endless():
        for _ in range(100):
            yield b" " * 500

    answer = http.post(url + CHAT, content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert service.engine.requests == []


def test_a_client_that_sends_a_large_body_to_its_end_reads_the_refusal(url):
    answer = http.post(url + CHAT, content=b" " * 20_000_000, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_a_body_within_the_limit_is_answered(start):
    url, _ = start(WordEngine(), max_body_bytes=1000)
    text = json.dumps(chat("x"))
    answer = http.post(
        url + CHAT, content=text + " " * (1000 - len(text)), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("length", ["-1", "abc", "1e3"])
def test_a_nonsensical_length_is_no_server_error(url, length):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{head}content-length: {length}\r\n\r\n{{}}".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_full_queue_turns_away_at_once_and_says_when_to_come_back(slow):
    url, service, engine = slow
    threads, answers = busy(url, 4)
    until(lambda: service.admission.inside == 4)
    refused = http.post(url + CHAT, json=chat())
    assert engine.words < 100  # answered while the others are still being answered
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert http.post(url + CHAT, json=chat()).status_code == 200


def test_an_answer_that_takes_too_long_ends_with_504_and_frees_the_engine(start):
    engine = WordEngine(step_s=0.05)
    url, service = start(engine, deadline_s=0.3)
    answer = http.post(url + CHAT, json=chat(LONG))
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline")
    assert answer.headers["x-should-retry"] == "false"
    assert engine.cancelled == [engine.requests[0].id]
    assert service.admission.inside == 0
    assert engine.requests[0].deadline_s == 0.3


def test_a_stream_that_takes_too_long_ends_with_an_error_event(start):
    url, _ = start(WordEngine(step_s=0.05), deadline_s=0.3)
    answer = http.post(url + CHAT, json=chat(LONG, stream=True))
    chunks = events(answer)
    assert chunks[1]["choices"][0]["delta"]["content"] == "word"
    assert chunks[-1]["error"]["code"] == "deadline"


@pytest.mark.parametrize("stream", [True, False])
def test_a_caller_that_leaves_frees_the_engine(slow, stream):
    url, service, engine = slow
    host, port = url.removeprefix("http://").split(":")
    sent = json.dumps(chat(LONG, stream=stream))
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{head}content-length: {len(sent)}\r\n\r\n{sent}".encode())
        until(lambda: engine.words > 3)
    left = time.monotonic()
    until(lambda: engine.stats().running == 0, within_s=2.0)
    assert time.monotonic() - left < 2.0
    assert engine.words < 50
    until(lambda: service.admission.inside == 0)


def test_a_caller_that_leaves_the_queue_frees_its_place(slow):
    url, service, engine = slow
    threads, _ = busy(url, 2)
    until(lambda: engine.stats().running == 2)
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(url + CHAT, json=chat(), timeout=0.2, verify=False)
    until(lambda: service.admission.inside == 2)
    assert len(engine.cancelled) == 1
    for thread in threads:
        thread.join()


def test_an_engine_that_dies_gives_503_and_answers_again(slow):
    url, _, engine = slow
    threads, answers = busy(url, 3)
    until(lambda: engine.words > 3)
    engine.die(down_s=60)
    for thread in threads:
        thread.join()
    assert [a.status_code for a in answers] == [503] * 3
    assert {a.json()["error"]["code"] for a in answers} == {"engine_died"}
    assert all(int(a.headers["retry-after"]) for a in answers)
    ready = http.get(url + "/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "restarting")
    engine.come_back()
    assert http.get(url + "/readyz").status_code == 200
    assert http.post(url + CHAT, json=chat()).status_code == 200


def test_an_engine_that_is_closed_gives_503(slow):
    url, _, engine = slow
    threads, answers = busy(url, 1)
    until(lambda: engine.words > 3)
    engine.close()
    threads[0].join()
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (503, "closed")
    later = http.post(url + CHAT, json=chat())
    assert (later.status_code, later.json()["error"]["code"]) == (503, "closed")


def test_a_stream_whose_engine_dies_ends_with_an_error_event(slow):
    url, _, engine = slow
    threads, answers = busy(url, 1, stream=True)
    until(lambda: engine.words > 3)
    engine.die()
    threads[0].join()
    assert events(answers[0])[-1]["error"]["code"] == "engine_died"


def test_requests_at_the_same_time_are_answered_each_with_its_own(start):
    url, _ = start(WordEngine(slots=8), parallel=8, max_queue=100)

    async def ask_all():
        async with httpx2.AsyncClient(verify=False, timeout=30) as client:
            asked = [client.post(url + CHAT, json=chat(f"a{n} b{n} c{n}")) for n in range(40)]
            return await asyncio.gather(*asked)

    for number, answer in enumerate(asyncio.run(ask_all())):
        assert answer.json()["choices"][0]["message"]["content"] == f"a{number} b{number} c{number}"
