import email.utils
import time
from collections.abc import Sequence
from typing import Any

import pytest

from ta_eval.http_target import HttpTarget
from ta_eval.target import Failure, Reply
from ta_schemas import InputError, SetupError

Replies = dict[int, Reply | Failure]


def ask(target: HttpTarget, questions: Sequence[str], **settings: Any) -> Replies:
    """All replies, by position; fails where one comes twice."""
    replies: Replies = {}

    def keep(finished: Replies) -> None:
        assert not finished.keys() & replies.keys()
        replies.update(finished)

    conversations = [[{"role": "user", "content": question}] for question in questions]
    target.ask(conversations, keep, **{"max_tokens": 8, "temperature": 0.0, **settings})
    return replies


def test_answers_come_back_at_their_positions(server) -> None:  # type: ignore[no-untyped-def]
    server.answers = {f"q{n}": f"answer {n}" for n in range(20)}
    replies = ask(HttpTarget("t", server.url, "m"), [f"q{n}" for n in range(20)])
    assert replies == {n: Reply(f"answer {n}", "stop", 3, 2) for n in range(20)}


def test_model_messages_and_settings_are_sent(server) -> None:  # type: ignore[no-untyped-def]
    ask(HttpTarget("t", server.url, "my-model"), ["q"], max_tokens=11, temperature=0.5)
    sent = server.requests[0]
    assert sent["model"] == "my-model"
    assert sent["messages"] == [{"role": "user", "content": "q"}]
    assert (sent["max_tokens"], sent["temperature"]) == (11, 0.5)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_number_in_flight_is_what_was_asked_for(server, concurrency: int) -> None:  # type: ignore[no-untyped-def]
    server.delay_s = 0.05
    ask(HttpTarget("t", server.url, "m", concurrency=concurrency), [f"q{n}" for n in range(12)])
    assert server.most_in_flight == concurrency


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_what_may_pass_is_tried_again(server, status: int) -> None:  # type: ignore[no-untyped-def]
    server.faults = [(status, {"retry-after": "0.01"})] * 2
    assert ask(HttpTarget("t", server.url, "m"), ["q"]) == {0: Reply("no idea", "stop", 3, 2)}
    assert len(server.requests) == 3


def test_retry_after_is_waited_for(server) -> None:  # type: ignore[no-untyped-def]
    server.faults = [(429, {"retry-after": "1.2"})]
    ask(HttpTarget("t", server.url, "m"), ["q"])
    assert server.times[1] - server.times[0] >= 1.2


def test_retry_after_may_be_a_date(server) -> None:  # type: ignore[no-untyped-def]
    server.faults = [(503, {"retry-after": email.utils.formatdate(time.time() + 3, usegmt=True)})]
    ask(HttpTarget("t", server.url, "m"), ["q"])
    assert server.times[1] - server.times[0] >= 1.5


def test_a_server_that_asks_for_an_hour_is_not_waited_for(server) -> None:  # type: ignore[no-untyped-def]
    server.faults = [(429, {"retry-after": "3600"})]
    reply = ask(HttpTarget("t", server.url, "m"), ["q"])[0]
    assert isinstance(reply, Failure)
    assert (reply.reason, len(server.requests)) == ("http 429", 1)
    assert reply.message.startswith("server asks to wait 3600 s")


@pytest.mark.parametrize("attempts", [1, 3])
def test_an_item_fails_for_good_after_the_given_attempts(server, attempts: int) -> None:  # type: ignore[no-untyped-def]
    server.faults = [(503, {"retry-after": "0"})] * attempts
    reply = ask(HttpTarget("t", server.url, "m", attempts=attempts), ["q"])[0]
    assert isinstance(reply, Failure)
    assert reply.reason == "http 503"
    assert len(server.requests) == attempts


def test_a_refused_item_is_not_asked_again_and_the_others_go_on(server) -> None:  # type: ignore[no-untyped-def]
    server.broken = {"too long": 400}
    replies = ask(HttpTarget("t", server.url, "m", concurrency=1), ["q", "too long", "r"])
    assert [type(replies[n]).__name__ for n in range(3)] == ["Reply", "Failure", "Reply"]
    assert len(server.requests) == 3


def test_twenty_percent_429s_lose_nothing(server) -> None:  # type: ignore[no-untyped-def]
    server.busy_every = 5
    replies = ask(HttpTarget("t", server.url, "m"), [f"q{n}" for n in range(100)])
    assert len(replies) == 100
    assert len(server.requests) >= 124
    assert all(isinstance(reply, Reply) for reply in replies.values())


@pytest.mark.parametrize(("header", "asked"), [({"retry-after": "0"}, 8), ({}, 2)])
def test_a_busy_server_that_says_when_to_come_back_is_asked_four_times_as_often(  # type: ignore[no-untyped-def]
    server, header: dict[str, str], asked: int
) -> None:
    server.faults = [(429, header)] * 20
    reply = ask(HttpTarget("t", server.url, "m", attempts=2), ["q"])[0]
    assert isinstance(reply, Failure)
    assert reply.reason == "http 429"
    assert len(server.requests) == asked


def test_a_slow_answer_is_a_timeout(server) -> None:  # type: ignore[no-untyped-def]
    server.delay_s = 0.6
    reply = ask(HttpTarget("t", server.url, "m", timeout_s=0.2, attempts=1), ["q"])[0]
    assert reply == Failure("timeout", "no answer within 0.2 s")


def test_a_server_that_is_not_there_is_a_setup_error(server) -> None:  # type: ignore[no-untyped-def]
    url = server.url
    server.httpd.server_close()
    with pytest.raises(SetupError, match="is the server running"):
        ask(HttpTarget("t", url, "m", attempts=2), ["q"] * 50)


def test_a_server_that_dies_on_the_way_is_a_setup_error_and_keeps_what_came(server) -> None:  # type: ignore[no-untyped-def]
    server.broken = {f"q{n}": 0 for n in range(2, 50)}
    replies: Replies = {}
    conversations = [[{"role": "user", "content": f"q{n}"}] for n in range(50)]
    target = HttpTarget("t", server.url, "m", attempts=1, concurrency=1)
    with pytest.raises(SetupError, match="is the server running"):
        target.ask(conversations, replies.update, max_tokens=8, temperature=0.0)
    assert isinstance(replies[0], Reply)
    assert isinstance(replies[1], Reply)
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("status", "told"), [(401, "refused the API key"), (403, "API key"), (404, "end in /v1")]
)
def test_what_no_item_can_pass_stops_at_once(server, status: int, told: str) -> None:  # type: ignore[no-untyped-def]
    server.faults = [(status, {})] * 50
    with pytest.raises(SetupError, match=told):
        ask(HttpTarget("t", server.url, "m", concurrency=1), ["q"] * 50)
    assert len(server.requests) == 1


@pytest.mark.parametrize("raw", [b"{}", b'{"choices": []}', b"<html>", b'{"choices": [{}]}'])
def test_something_that_is_no_completion_is_a_failure(server, raw: bytes) -> None:  # type: ignore[no-untyped-def]
    server.raw = raw
    reply = ask(HttpTarget("t", server.url, "m", attempts=1), ["q"])[0]
    assert isinstance(reply, Failure)
    assert reply.reason == "not a completion"


def test_an_answer_cut_off_in_the_middle_is_tried_again(server) -> None:  # type: ignore[no-untyped-def]
    server.raw = b'{"id": "x", "choices": [{"index"'
    ask(HttpTarget("t", server.url, "m", attempts=2), ["q"])
    assert len(server.requests) == 2


def test_an_answer_without_text_or_usage_is_an_empty_answer(server) -> None:  # type: ignore[no-untyped-def]
    server.raw = (
        b'{"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": '
        b'[{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": null}}]}'
    )
    assert ask(HttpTarget("t", server.url, "m"), ["q"])[0] == Reply("", "stop", 0, 0)


def test_the_key_comes_from_the_named_variable(server, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("MY_KEY", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "other")
    ask(HttpTarget("t", server.url, "m", api_key_env="MY_KEY"), ["q"])
    ask(HttpTarget("t", server.url, "m"), ["q"])
    monkeypatch.delenv("OPENAI_API_KEY")
    ask(HttpTarget("t", server.url, "m"), ["q"])
    assert server.keys == ["Bearer secret", "Bearer other", "Bearer none"]


def test_a_named_variable_that_is_not_set_is_a_setup_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(SetupError, match="MY_KEY is not set"):
        HttpTarget("t", "http://127.0.0.1:1/v1", "m", api_key_env="MY_KEY")


def test_a_password_in_the_address_stays_out_of_the_identity() -> None:
    target = HttpTarget("t", "http://me:secret@127.0.0.1:1/v1/", "m")
    assert target.identity == {"base_url": "http://127.0.0.1:1/v1", "model": "m"}


def test_the_full_path_is_taken_too(server) -> None:  # type: ignore[no-untyped-def]
    ask(HttpTarget("t", server.url + "/chat/completions", "m"), ["q"])
    assert server.requests[0]["path"] == "/v1/chat/completions"


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="expected something like"):
        HttpTarget("t", url, "m")


def test_nothing_to_ask_asks_nothing(server) -> None:  # type: ignore[no-untyped-def]
    assert ask(HttpTarget("t", server.url, "m"), []) == {}
