"""What is asked reaches the engine, what it says reaches the caller."""

import pytest
from api_fixtures import CHAT, events, http, text_of
from word_engine import WordEngine

from ta_serve.config import Generation, Settings
from ta_serve.engines.protocol import Request


@pytest.fixture
def ask(tiny):
    """Ask the shared server; gives (answer's JSON, the engine's Request)."""
    url, service = tiny

    def post(path=CHAT, content="one two three", **fields):
        what = {"prompt": content} if path == "/v1/completions" else {}
        if not what and "messages" not in fields:
            what = {"messages": [{"role": "user", "content": content}]}
        answer = http.post(url + path, json={**what, **fields})
        assert answer.status_code == 200, answer.text
        return answer, service.engine.requests[-1]

    return post


def test_a_chat_is_answered_in_openais_shape(ask):
    body = ask()[0].json()
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert body["model"] == "tiny"
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": "one two three", "refusal": None}
    assert choice["finish_reason"] == "stop"
    assert body["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 3,
        "total_tokens": 6,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def test_a_stream_says_who_speaks_then_the_words_then_why_it_ends(ask):
    answer, _ = ask(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    chunks = events(answer)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert text_of(chunks) == "one two three"
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
    assert len({c["id"] for c in chunks}) == 1
    assert all("usage" not in c for c in chunks)


def test_a_stream_with_usage_ends_with_the_counts(ask):
    chunks = events(ask(stream=True, stream_options={"include_usage": True})[0])
    assert all(c["usage"] is None for c in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 6


def test_text_goes_on_without_a_chat(ask):
    answer, request = ask("/v1/completions", "one two")
    body = answer.json()
    assert body["object"] == "text_completion"
    assert body["choices"] == [{"index": 0, "text": "one two", "logprobs": None, "finish_reason": "stop"}]
    assert (request.prompt, request.messages, request.max_tokens) == ("one two", None, 16)


def test_streamed_text_goes_on_without_a_chat(ask):
    chunks = events(ask("/v1/completions", "one two", stream=True)[0])
    assert "".join(c["choices"][0]["text"] for c in chunks) == "one two"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_prompt_may_stand_in_a_list_of_one(ask):
    assert ask("/v1/completions", prompt=["one"])[1].prompt == "one"


OPTIONS = {
    "temperature": (0.7, "temperature", 0.7),
    "top_p": (0.5, "top_p", 0.5),
    "top_k": (7, "top_k", 7),
    "presence_penalty": (0.5, "presence_penalty", 0.5),
    "frequency_penalty": (-0.5, "frequency_penalty", -0.5),
    "max_tokens": (5, "max_tokens", 5),
    "seed": (2**31 + 4, "seed", 4),
    "stop": (["x", "y"], "stop", ("x", "y")),
}


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_reaches_the_engine(ask, path, name):
    value, field, wanted = OPTIONS[name]
    request = ask(path, **{name: value})[1]
    assert getattr(request, field) == wanted
    assert getattr(Request(id="x"), field) != wanted


def test_the_newer_name_of_max_tokens_reaches_the_engine(ask):
    assert ask(max_completion_tokens=2)[1].max_tokens == 2


def test_one_stop_string_reaches_the_engine(ask):
    answer, request = ask(stop="two")
    assert request.stop == ("two",)
    assert answer.json()["choices"][0]["message"]["content"] == "one"


def test_an_answer_that_was_cut_off_says_length(ask):
    assert ask(max_tokens=2)[0].json()["choices"][0]["finish_reason"] == "length"


def test_any_json_object_is_an_empty_schema_to_the_engine(ask):
    assert ask(response_format={"type": "json_object"})[1].json_schema == {}
    assert ask(response_format={"type": "text"})[1].json_schema is None


def test_a_json_schema_reaches_the_engine(ask):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
    assert ask(response_format=wanted)[1].json_schema == schema


def test_developer_is_another_word_for_system_and_parts_are_joined(ask):
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    messages = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": parts}]
    assert ask(messages=messages)[1].messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "one two"},
    ]


def test_an_adapter_is_a_model_of_its_own(ask):
    answer, request = ask(model="tiny:loud")
    assert request.model == "base:loud"
    assert answer.json()["model"] == "tiny:loud"
    assert answer.json()["choices"][0]["message"]["content"] == "ONE TWO THREE"


def test_models_are_listed_with_their_adapters(url):
    body = http.get(url + "/v1/models").json()
    assert [(card["id"], card["parent"]) for card in body["data"]] == [("tiny", None), ("tiny:loud", "tiny")]
    assert http.get(url + "/v1/models/tiny:loud").json() == body["data"][1]


@pytest.fixture
def tuned(start):
    generation = Generation(max_tokens=2, temperature=0.3)
    settings = Settings(system_prompt="Answer with a command.", generation=generation)
    return start(WordEngine(), settings=settings)


def test_a_tuned_model_is_asked_as_it_was_measured(tuned):
    url, service = tuned
    http.post(url + CHAT, json={"messages": [{"role": "user", "content": "one"}]})
    (request,) = service.engine.requests
    assert request.messages[0] == {"role": "system", "content": "Answer with a command."}
    assert (request.max_tokens, request.temperature) == (2, 0.3)


def test_a_caller_overrides_what_the_model_was_tuned_with(tuned):
    url, service = tuned
    messages = [{"role": "system", "content": "Sing."}, {"role": "user", "content": "one"}]
    body = {"messages": messages, "max_tokens": 5, "temperature": 0}
    http.post(url + CHAT, json=body)
    (request,) = service.engine.requests
    assert request.messages == messages
    assert (request.max_tokens, request.temperature) == (5, 0)


def test_without_settings_the_engine_decides_how_long_an_answer_is(ask):
    assert ask()[1].max_tokens is None


def test_the_servers_name_is_the_models_id(start):
    url, _ = start(WordEngine(), name="linux-cli")
    assert [card["id"] for card in http.get(url + "/v1/models").json()["data"]] == [
        "linux-cli",
        "linux-cli:loud",
    ]
