"""Rails that stand in the way: what they say is what happens."""

import pytest
from api_fixtures import CHAT, chat, events, http, text_of, until
from word_engine import WordEngine

from tunedassist_api.guard import RailEvent, Verdict

REFUSAL = "I keep to the command line."


class SecretGuard:
    """Refuses what asks for `attack`, masks `secret`, stops at `poison`; breaks on `crash`."""

    name = "secret-guard"

    def check_input(self, messages):
        text = messages[-1]["content"]
        if "crash" in text:
            raise RuntimeError("the detector's file is gone")
        if "attack" in text:
            return Verdict(REFUSAL, blocked=True, events=(rail("input", "block"),))
        masked = text.replace("alice@example.org", "[MAIL]")
        return Verdict(masked, events=(rail("input", "allow" if masked == text else "mask"),))

    def check_output(self, messages, text):
        if "poison" in text:
            return Verdict(REFUSAL, blocked=True, events=(rail("output", "block"),))
        return Verdict(text.replace("secret", "******"), events=(rail("output", "allow"),))

    def stream(self, messages):
        return SecretFilter(self, messages)


class SecretFilter:
    """Holds back one piece."""

    def __init__(self, guard, messages):
        self.guard, self.messages, self.held = guard, messages, ""

    def feed(self, text):
        checked = self.guard.check_output(self.messages, self.held + text)
        if checked.blocked:
            return checked
        out, self.held = self.held.replace("secret", "******"), text
        return Verdict(out, events=checked.events)

    def finish(self):
        return Verdict(self.held.replace("secret", "******"))


def rail(stage, action):
    return RailEvent("secrets", stage, action, milliseconds=1.5, score=0.9, reason="because")


@pytest.fixture
def guarded(start):
    engine = WordEngine()
    return start(engine, guard=SecretGuard())[0], engine


def said(answer):
    return answer.json()["choices"][0]["message"]["content"]


def test_a_refused_question_never_reaches_the_engine(guarded):
    url, engine = guarded
    answer = http.post(url + CHAT, json=chat("an attack"))
    assert (answer.status_code, said(answer)) == (200, REFUSAL)
    assert answer.json()["choices"][0]["finish_reason"] == "content_filter"
    assert engine.requests == []


def test_a_refused_question_is_refused_in_a_stream_too(guarded):
    url, engine = guarded
    chunks = events(http.post(url + CHAT, json=chat("an attack", stream=True)))
    assert text_of(chunks) == REFUSAL
    assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert chunks[-1]["guard"]["blocked"] is True
    assert engine.requests == []


def test_what_rails_did_stands_in_the_answer(guarded):
    body = http.post(guarded[0] + CHAT, json=chat("hello")).json()
    assert body["guard"] == {
        "name": "secret-guard",
        "blocked": False,
        "rails": [
            {
                "rail": "secrets",
                "stage": stage,
                "action": "allow",
                "milliseconds": 1.5,
                "score": 0.9,
                "threshold": None,
                "reason": "because",
                "span": [0, 0],
            }
            for stage in ("input", "output")
        ],
    }


def test_a_masked_question_reaches_the_engine_masked(guarded):
    url, engine = guarded
    http.post(url + CHAT, json=chat("write to alice@example.org"))
    http.post(url + "/v1/completions", json={"prompt": "write to alice@example.org"})
    chat_request, text_request = engine.requests
    assert chat_request.messages[-1]["content"] == "write to [MAIL]"
    assert text_request.prompt == "write to [MAIL]"


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_is_masked(guarded, stream):
    answer = http.post(guarded[0] + CHAT, json=chat("the secret is out", stream=stream))
    assert (text_of(events(answer)) if stream else said(answer)) == "the ****** is out"


def test_an_answer_that_is_blocked_is_replaced(guarded):
    answer = http.post(guarded[0] + CHAT, json=chat("the poison is out"))
    assert said(answer) == REFUSAL
    assert answer.json()["choices"][0]["finish_reason"] == "content_filter"


def test_a_stream_that_is_blocked_ends_with_the_refusal_and_frees_the_engine(start):
    engine = WordEngine(step_s=0.1)  # slow: still writing when the rail has spoken
    url, service = start(engine, guard=SecretGuard())
    chunks = events(http.post(url + CHAT, json=chat("one two poison " + "more " * 40, stream=True)))
    assert text_of(chunks).endswith(REFUSAL)
    assert "poison" not in text_of(chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"
    until(lambda: service.admission.inside == 0)  # the last chunk goes out first
    assert engine.cancelled == [engine.requests[0].id]
    assert service.admission.inside == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_guard_that_fails_lets_nothing_through_and_is_logged(guarded, stream, caplog):
    answer = http.post(guarded[0] + CHAT, json=chat("crash now", stream=stream))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "guard_failed")
    assert "detector" not in answer.text
    assert "guard_failed" in caplog.messages


def test_readyz_names_the_guard_or_says_that_there_is_none(guarded, url):
    assert http.get(guarded[0] + "/readyz").json()["guard"] == "secret-guard"
    assert http.get(url + "/readyz").json()["guard"] == "off: everything passes"


def test_rails_are_counted(guarded):
    http.post(guarded[0] + CHAT, json=chat("an attack"))
    metrics = http.get(guarded[0] + "/metrics").text
    assert 'tunedassist_rails_total{action="block",rail="secrets",stage="input"} 1.0' in metrics
    assert 'tunedassist_rail_seconds_sum{rail="secrets"} 0.0015' in metrics
