"""Metrics, logs, request ids, bugs."""

import json
import logging

import pytest
from api_fixtures import CHAT, chat, http, until
from prometheus_client.parser import text_string_to_metric_families
from word_engine import WordEngine

from tunedassist_api.keys import add_key
from tunedassist_api.logs import JsonFormatter


def samples(url):
    families = text_string_to_metric_families(http.get(url + "/metrics").text)
    return {(s.name, *sorted(s.labels.values())): s.value for f in families for s in f.samples}


def test_metrics_count_requests_tokens_and_times(start):
    engine = WordEngine()
    url, _ = start(engine)
    http.post(url + CHAT, json=chat("one two"))
    http.post(url + CHAT, json=chat("one two", n=3))
    http.get(url + "/v1/models/gone")
    http.get(url + "/no/such/path")
    engine.die(down_s=0)
    until(lambda: ("tunedassist_requests_total", "404", "other") in samples(url))
    read = samples(url)
    counts = {key[1:]: value for key, value in read.items() if key[0] == "tunedassist_requests_total"}
    assert counts[tuple(sorted((CHAT, "200")))] == 1
    assert counts[tuple(sorted((CHAT, "400")))] == 1
    assert counts[tuple(sorted(("/v1/models/{model:path}", "404")))] == 1
    assert counts[tuple(sorted(("other", "404")))] == 1
    assert read["tunedassist_prompt_tokens_total",] == 2
    assert read["tunedassist_completion_tokens_total",] >= 2
    assert read["tunedassist_time_to_first_token_seconds_count",] == 1
    assert read["tunedassist_engine_restarts_total",] == 1
    assert read["tunedassist_engine_ready",] == 1
    assert read["tunedassist_engine_waiting",] == 0
    assert read["process_resident_memory_bytes",] > 0


def test_before_the_model_is_there_metrics_say_not_ready(start):
    assert samples(start(None)[0])["tunedassist_engine_ready",] == 0


@pytest.fixture
def lines(caplog):
    """The log lines so far, as a log collector reads them."""
    caplog.set_level(logging.INFO, logger="tunedassist_api")
    return lambda: [json.loads(JsonFormatter().format(record)) for record in caplog.records]


def request_line(lines, status=200):
    """The line is written after the answer has gone out."""

    def found():
        return [line for line in lines() if line["event"] == "request" and line["status"] == status]

    until(found)
    return found()[-1]


def test_a_request_leaves_one_line_with_its_numbers(start, lines, tmp_path):
    file = tmp_path / "keys.json"
    key = add_key(file, "alice")
    url, _ = start(WordEngine(), keys_file=file)
    headers = {"authorization": f"Bearer {key}", "x-request-id": "mine-1"}
    answer = http.post(url + CHAT, json=chat("one two"), headers=headers)
    assert answer.headers["x-request-id"] == "mine-1"
    line = request_line(lines)
    assert line.pop("time")
    assert line.pop("ms") >= 0
    assert line.pop("first_token_ms") >= 0
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": "mine-1",
        "method": "POST",
        "route": CHAT,
        "status": 200,
        "key": "alice",
        "model": "tiny",
        "completion_id": answer.json()["id"],
        "finish_reason": "stop",
        "prompt_tokens": 2,
        "completion_tokens": 2,
        "cached_tokens": 0,
    }


def test_the_line_of_a_refused_request_says_why(start, lines):
    url, _ = start(WordEngine())
    http.post(url + CHAT, json=chat("word " * 100))
    assert request_line(lines, 400)["code"] == "context_length_exceeded"


@pytest.mark.parametrize("given", ["", "with blanks", "x" * 200])
def test_a_request_id_that_is_none_is_replaced(url, given):
    assert http.get(url + "/healthz", headers={"x-request-id": given.encode()}).headers["x-request-id"] not in (
        given,
        "",
    )


def test_logs_hold_prompts_only_when_asked(start, lines):
    start_plain, _ = start(WordEngine())
    http.post(start_plain + CHAT, json=chat("confidential"))
    http.post(start_plain + CHAT, json=chat("confidential", temperature=9))
    request_line(lines, 400)
    assert "confidential" not in json.dumps(lines())
    start_open, _ = start(WordEngine(), log_prompts=True)
    http.post(start_open + CHAT, json=chat("confidential"))
    until(lambda: "messages" in request_line(lines))
    line = request_line(lines)
    assert line["messages"] == [{"role": "user", "content": "confidential"}]
    assert line["answer"] == "confidential"


class Broken(WordEngine):
    """An engine with a bug."""

    def submit(self, request, deliver):
        raise ValueError(f"cannot take {request.messages}")


@pytest.mark.parametrize("stream", [True, False])
def test_a_bug_is_500_in_openais_format_and_its_log_quotes_no_user(start, lines, stream):
    url, service = start(Broken())
    answer = http.post(url + CHAT, json=chat("confidential", stream=stream))
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
    (bug,) = [line for line in lines() if line["event"] == "bug"]
    assert bug["exception"] == "ValueError"
    assert bug["request_id"] == answer.headers["x-request-id"]
    assert any(frame.endswith(" submit") for frame in bug["frames"])
    assert "confidential" not in json.dumps(lines())
    assert service.admission.inside == 0


def test_while_the_model_loads_readyz_and_requests_say_so(start):
    url, _ = start(None)
    assert http.get(url + "/healthz").json() == {"status": "ok"}
    ready = http.get(url + "/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "loading")
    for answer in (http.post(url + CHAT, json=chat()), http.get(url + "/v1/models")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "loading")
        assert answer.headers["retry-after"] == "2"
