"""Whatever is sent: an answer in OpenAI's format, and never 500 or above."""

import json
from urllib.parse import quote

import pytest
from api_fixtures import CHAT, http
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXT = st.text(st.characters(), max_size=20)  # lone surrogates too
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 1, 2, 2**31, 2**63, -(2**63), 10**30, 1e308, float("nan"), float("inf")]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda child: st.one_of(st.lists(child, max_size=3), st.dictionaries(TEXT, child, max_size=3)),
    max_leaves=6,
)
PARTS = st.one_of(VALUES, st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url"]), "text": TEXT}))
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer", "wizard"])},
    optional={"content": st.one_of(TEXT, st.lists(PARTS, max_size=2), VALUES), "tool_calls": VALUES},
)
FORMAT = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "json_object", "json_schema"])},
    optional={"json_schema": st.fixed_dictionaries({"name": TEXT, "schema": VALUES})},
)
NAMES = [
    "model",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "tools",
    "tool_choice",
    "functions",
    "user",
    "metadata",
    "store",
    "echo",
    "best_of",
    "suffix",
    "prompt",
    "rating",
    "correction",
    "comment",
    "completion_id",
    "modalities",
]
FIELDS = st.dictionaries(st.one_of(st.sampled_from(NAMES), TEXT), VALUES, max_size=4)
BODY = st.builds(
    lambda fields, messages, shape: {**fields, "messages": messages, "response_format": shape},
    FIELDS,
    st.one_of(VALUES, st.lists(MESSAGE, max_size=3)),
    st.one_of(st.none(), FORMAT, VALUES),
)
PATHS = st.sampled_from([CHAT, "/v1/completions", "/v1/feedback"])
FUZZ = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def check(answer):
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]


def post(tiny, path, content, kind="application/json"):
    check(http.post(tiny[0] + path, content=content, headers={"content-type": kind}))


@FUZZ
@given(PATHS, BODY)
def test_no_body_of_known_fields_breaks_the_server(tiny, path, body):
    post(tiny, path, json.dumps(body))


@FUZZ
@given(PATHS, VALUES)
def test_no_json_breaks_the_server(tiny, path, body):
    post(tiny, path, json.dumps(body))


@FUZZ
@given(PATHS, st.binary(max_size=200), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20))
def test_no_bytes_of_any_type_break_the_server(tiny, path, content, kind):
    post(tiny, path, content, kind.strip())
    post(tiny, path, content)


@FUZZ
@given(TEXT, st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]))
def test_no_path_or_method_breaks_the_server(tiny, path, method):
    path = quote(path.encode("utf-8", "replace"))
    for address in (f"/{path}", f"/v1/models/{path}"):
        answer = http.request(method, tiny[0] + address)
        assert answer.status_code < 500


@pytest.mark.slow
def test_schemathesis_finds_no_answer_of_500_and_none_outside_the_document(tiny):
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    document = http.get(tiny[0] + "/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    checks = [
        not_a_server_error,
        response_schema_conformance,
        status_code_conformance,
        content_type_conformance,
    ]
    for operation in schema.get_all_operations():

        @settings(FUZZ, max_examples=25)
        @given(operation.ok().as_strategy())
        def conforms(case):
            case.call_and_validate(base_url=tiny[0], checks=checks)

        conforms()
