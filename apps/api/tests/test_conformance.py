"""Where servers differ, decided: the same inputs as in other servers' tables, one row each."""

import json

import pytest
from api_fixtures import CHAT, chat, http
from hypothesis import given, settings
from hypothesis import strategies as st

USER = {"role": "user", "content": "one two three"}


REFUSED = {
    "no messages": (chat(messages=[]), 400, None, "messages"),
    "messages missing": ({"model": "tiny"}, 400, None, "messages"),
    "messages null": (chat(messages=None), 400, None, "messages"),
    "messages a string": (chat(messages="hi"), 400, None, "messages"),
    "a message that is a string": (chat(messages=["hi"]), 400, None, "messages.0"),
    "role a number": (chat(messages=[{"role": 123, "content": "x"}]), 400, None, "messages.0.role"),
    "role unknown": (chat(messages=[{"role": "wizard", "content": "x"}]), 400, None, "messages.0.role"),
    "role missing": (chat(messages=[{"content": "x"}]), 400, None, "messages.0.role"),
    "content missing": (chat(messages=[{"role": "user"}]), 400, None, "messages.0.content"),
    "content null": (chat(messages=[{"role": "user", "content": None}]), 400, None, "messages.0.content"),
    "an image": (
        chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
        400,
        None,
        "messages.0.content.0",
    ),
    "tool calls": (
        chat(messages=[{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}]),
        400,
        None,
        "messages.0",
    ),
    "unknown model": (chat(model="gpt-9"), 404, "model_not_found", "model"),
    "unknown adapter": (chat(model="tiny:gone"), 404, "model_not_found", "model"),
    "model a number": (chat(model=5), 400, None, "model"),
    "max_tokens negative": (chat(max_tokens=-5), 400, None, "max_tokens"),
    "max_tokens zero": (chat(max_tokens=0), 400, None, "max_tokens"),
    "max_tokens a string": (chat(max_tokens="5"), 400, None, "max_tokens"),
    "max_tokens two ways": (chat(max_tokens=5, max_completion_tokens=6), 400, None, None),
    "max_completion_tokens zero": (chat(max_completion_tokens=0), 400, None, "max_completion_tokens"),
    "temperature negative": (chat(temperature=-1), 400, None, "temperature"),
    "temperature above 2": (chat(temperature=3), 400, None, "temperature"),
    "top_p zero": (chat(top_p=0), 400, None, "top_p"),
    "top_p above 1": (chat(top_p=1.5), 400, None, "top_p"),
    "top_k negative": (chat(top_k=-1), 400, None, "top_k"),
    "presence_penalty above 2": (chat(presence_penalty=2.1), 400, None, "presence_penalty"),
    "frequency_penalty below -2": (chat(frequency_penalty=-2.1), 400, None, "frequency_penalty"),
    "seed beyond 64 bits": (chat(seed=2**63), 400, None, "seed"),
    "stop empty": (chat(stop=""), 400, None, "stop"),
    "stop with an empty string": (chat(stop=["a", ""]), 400, None, "stop.1"),
    "stop of seventeen": (chat(stop=["a"] * 17), 400, None, "stop"),
    "two answers": (chat(n=2), 400, None, None),
    "logprobs": (chat(logprobs=True), 400, None, None),
    "top_logprobs": (chat(top_logprobs=3), 400, None, None),
    "logit_bias": (chat(logit_bias={"1": 5}), 400, None, None),
    "tools": (chat(tools=[{"type": "function", "function": {"name": "f"}}]), 400, None, None),
    "audio": (chat(modalities=["text", "audio"]), 400, None, None),
    "an unknown field": (chat(temprature=1), 400, None, None),
    "stream_options alone": (chat(stream_options={"include_usage": True}), 400, None, None),
    "response_format unknown": (chat(response_format={"type": "xml"}), 400, None, "response_format.type"),
    "json_schema without a schema": (
        chat(response_format={"type": "json_schema"}),
        400,
        None,
        "response_format",
    ),
    "a schema nested too deep": (
        chat(
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": json.loads('{"a":' * 100 + "1" + "}" * 100)},
            }
        ),
        400,
        None,
        "response_format.json_schema.schema",
    ),
    "a schema too large": (
        chat(
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"description": "x" * 70_000}},
            }
        ),
        400,
        None,
        "response_format.json_schema.schema",
    ),
    "more tokens than the context": (
        chat(messages=[{"role": "user", "content": "word " * 100}]),
        400,
        "context_length_exceeded",
        "messages",
    ),
    "more tokens than the context, streamed": (
        chat(messages=[{"role": "user", "content": "word " * 100}], stream=True),
        400,
        "context_length_exceeded",
        "messages",
    ),
    "more characters than any context": (
        chat(messages=[{"role": "user", "content": "w" * 10_000}]),
        400,
        "context_length_exceeded",
        "messages",
    ),
    "an array": ([1], 400, None, None),
    "null": (None, 400, None, None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_request_is_refused_as_openai_refuses(url, name):
    body, status, code, param = REFUSED[name]
    answer = http.post(url + CHAT, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
    assert error["message"]
    assert error["type"] == "invalid_request_error"


RAW = {
    "no body": (b"", "application/json", 400, None),
    "no JSON": (b"{", "application/json", 400, "invalid_json"),
    "two JSON values": (b"{} {}", "application/json", 400, "invalid_json"),
    "not UTF-8": (b'{"messages": "\xff"}', "application/json", 400, "invalid_json"),
    "deep JSON": (b"[" * 100_000, "application/json", 400, "invalid_json"),
    "a huge number": (b'{"seed": ' + b"9" * 5000 + b"}", "application/json", 400, "invalid_json"),
    "a lone surrogate": (
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        "application/json",
        400,
        None,
    ),
    "a lone surrogate as a key": (b'{"\\ud800": 1}', "application/json", 400, None),
    "NaN": (
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        "application/json",
        400,
        None,
    ),
    "plain text": (b"hi", "text/plain", 415, "unsupported_media_type"),
    "a form": (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    "no content type": (b"{}", "", 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("name", RAW)
def test_a_body_that_is_no_request_is_refused_as_openai_refuses(url, name):
    content, kind, status, code = RAW[name]
    answer = http.post(url + CHAT, content=content, headers={"content-type": kind} if kind else {})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error


@settings(max_examples=60, deadline=None)
@given(st.integers(800, 1010))
def test_json_near_the_recursion_limit_is_answered_or_refused(tiny, depth):
    deep = "[" * depth + "]" * depth
    for field in ("metadata", "messages", "response_format"):
        body = f'{{"messages": [{{"role": "user", "content": "x"}}], "{field}": {deep}}}'
        answer = http.post(tiny[0] + CHAT, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 400)


def test_a_compressed_body_is_refused(url):
    answer = http.post(url + CHAT, json=chat(), headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")


ANSWERED = {
    "nothing but messages": chat(),
    "a system message": chat(messages=[{"role": "system", "content": "s"}, USER]),
    "parts of text": chat(messages=[{"role": "user", "content": [{"type": "text", "text": "one"}]}]),
    "what the SDK gives back": chat(
        messages=[
            USER,
            {"role": "assistant", "content": "x", "refusal": None, "annotations": None, "tool_calls": None},
            USER,
        ]
    ),
    "empty content": chat(messages=[{"role": "user", "content": ""}]),
    "an escaped backslash before u": chat(messages=[{"role": "user", "content": "\\ud800"}]),
    "beyond the basic plane": chat(messages=[{"role": "user", "content": "😀"}]),
    "nulls everywhere": chat(
        model=None, max_tokens=None, temperature=None, top_p=None, seed=None, stop=None, stream=None, n=None
    ),
    "one answer": chat(n=1),
    "no tools": chat(tools=[], tool_choice="none", logprobs=False, logit_bias={}),
    "fields without effect": chat(user="u", metadata={"a": "b"}, store=True, service_tier="auto"),
    "temperature a whole number": chat(temperature=1),
    "max_tokens two ways, equal": chat(max_tokens=5, max_completion_tokens=5),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_a_right_request_is_answered(url, name):
    answer = http.post(url + CHAT, json=ANSWERED[name])
    assert answer.status_code == 200, answer.text


TEXT = {
    "no prompt": ({"model": "tiny"}, None, "prompt"),
    "prompt null": ({"prompt": None}, None, "prompt"),
    "token ids": ({"prompt": [1, 2, 3]}, None, "prompt"),
    "two prompts": ({"prompt": ["a", "b"]}, None, "prompt"),
    "logprobs": ({"prompt": "a", "logprobs": 1}, None, None),
    "echo": ({"prompt": "a", "echo": True}, None, None),
    "best_of": ({"prompt": "a", "best_of": 2}, None, None),
    "a suffix": ({"prompt": "a", "suffix": "b"}, None, None),
    "more tokens than the context": ({"prompt": "word " * 100}, "context_length_exceeded", "prompt"),
    "more characters than any context": ({"prompt": "w" * 10_000}, "context_length_exceeded", "prompt"),
}


@pytest.mark.parametrize("name", TEXT)
def test_a_wrong_text_completion_is_refused_as_openai_refuses(url, name):
    body, code, param = TEXT[name]
    answer = http.post(url + "/v1/completions", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param), error


OTHER = {
    "an unknown path": ("GET", "/v1/embeddings", 404, "unknown_url"),
    "a path with a slash too many": ("GET", "/v1/models/", 404, "model_not_found"),
    "GET where POST belongs": ("GET", CHAT, 405, "method_not_allowed"),
    "POST where GET belongs": ("POST", "/v1/models", 405, "method_not_allowed"),
    "an unknown model": ("GET", "/v1/models/gpt-9", 404, "model_not_found"),
    "a path that is no text": ("GET", "/%ff%00/\ud83d".encode("utf-8", "replace").decode(), 404, "unknown_url"),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_wrong_path_or_method_is_refused_as_openai_refuses(url, name):
    method, path, status, code = OTHER[name]
    answer = http.request(method, url + path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_405_names_the_methods_that_are_possible(url):
    assert http.get(url + CHAT).headers["allow"] == "POST"


def test_the_openapi_document_names_every_path_and_no_422(url):
    document = http.get(url + "/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/models",
        "/v1/models/{model}",
        "/v1/feedback",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert "422" not in json.dumps(document["paths"])
