"""The clients that people use, unchanged."""

import asyncio
import json
import shutil
import subprocess

import openai
import pytest
from api_fixtures import CHAT, running_server
from pydantic import BaseModel
from word_engine import WordEngine

from tunedassist_api.keys import add_key

MESSAGES = [{"role": "user", "content": "one two three"}]


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A server that asks for a key: (base URL, key)."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    key = add_key(file, "alice")
    with running_server(WordEngine(), keys_file=file) as (url, *_):
        yield url + "/v1", key


@pytest.fixture
def client(locked):
    with openai.OpenAI(base_url=locked[0], api_key=locked[1], max_retries=0) as made:
        yield made


def test_openai_chats(client):
    answer = client.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=2)
    assert answer.choices[0].message.content == "one two"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 2
    assert answer._request_id


def test_openai_streams(client):
    stream = client.chat.completions.create(
        model="tiny", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three"
    assert chunks[-1].usage.total_tokens == 6


def test_openai_streams_by_its_helper(client):
    with client.chat.completions.stream(model="tiny", messages=MESSAGES) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "one two three"


def test_openai_talks_asynchronously(locked):
    async def ask():
        async with openai.AsyncOpenAI(base_url=locked[0], api_key=locked[1]) as client:
            whole = client.chat.completions.create(model="tiny", messages=MESSAGES)
            stream = await client.chat.completions.create(model="tiny", messages=MESSAGES, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return (await whole).choices[0].message.content, "".join(pieces)

    assert asyncio.run(ask()) == ("one two three", "one two three")


def test_openai_completes_text(client):
    assert client.completions.create(model="tiny", prompt="one two").choices[0].text == "one two"
    stream = client.completions.create(model="tiny", prompt="one two", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "one two"


def test_openai_lists_models(client):
    assert [model.id for model in client.models.list()] == ["tiny", "tiny:loud"]
    assert client.models.retrieve("tiny:loud").id == "tiny:loud"


class Answer(BaseModel):
    """What a structured answer holds."""

    text: str


def test_openai_asks_for_structured_answers(client):
    answer = client.chat.completions.create(
        model="tiny",
        messages=MESSAGES,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": Answer.model_json_schema()},
        },
    )
    assert json.loads(answer.choices[0].message.content)["schema"] == Answer.model_json_schema()


TYPED = {
    "a wrong option": ({"temperature": 9}, openai.BadRequestError, None),
    "an unknown model": ({"model": "gpt-9"}, openai.NotFoundError, "model_not_found"),
    "too long": (
        {"messages": [{"role": "user", "content": "word " * 99}]},
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "too long, streamed": (
        {"messages": [{"role": "user", "content": "word " * 99}], "stream": True},
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "too large": (
        {"messages": [{"role": "user", "content": "w" * 2_000_000}]},
        openai.APIStatusError,
        "request_too_large",
    ),
}


@pytest.mark.parametrize("name", TYPED)
def test_openai_raises_its_own_errors(client, name):
    fields, kind, code = TYPED[name]
    with pytest.raises(kind) as raised:
        client.chat.completions.create(**{"model": "tiny", "messages": MESSAGES, **fields})
    assert raised.value.code == code
    assert raised.value.type == "invalid_request_error"


def test_openai_raises_for_a_wrong_key(locked):
    with openai.OpenAI(base_url=locked[0], api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            client.models.list()
    assert raised.value.code == "invalid_api_key"


def test_openai_raises_what_ends_a_stream(start):
    url, _ = start(WordEngine(step_s=0.05), deadline_s=0.3)
    with openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "word " * 40}], stream=True
        )
        with pytest.raises(openai.APIError, match="no whole answer within"):
            list(stream)


def test_openai_waits_and_repeats_what_was_refused_for_the_rate(start):
    url, service = start(WordEngine(), requests_per_minute=60)
    service.rate_limit.take("address 127.0.0.1", 60)
    service.rate_limit._buckets["address 127.0.0.1"] = (0.0, service.rate_limit._clock())
    with openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=2) as client:
        assert client.models.list().data


def test_langchain_chats_and_streams(locked):
    chat_models = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    model = chat_models.ChatOpenAI(model="tiny", base_url=locked[0], api_key=locked[1])
    assert model.invoke("one two").content == "one two"
    assert "".join(chunk.content for chunk in model.stream("one two")) == "one two"
    assert model.invoke("one").usage_metadata["output_tokens"] == 1


def curl(*arguments):
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    return subprocess.run(
        [program, "-sS", "--max-time", "20", *arguments], capture_output=True, check=True
    ).stdout.decode()


def test_curl_chats_and_streams(locked):
    url, key = locked
    headers = ("-H", "content-type: application/json", "-H", f"authorization: Bearer {key}")
    address = url.removesuffix("/v1") + CHAT
    whole = curl(address, *headers, "-d", json.dumps({"messages": MESSAGES}))
    assert json.loads(whole)["choices"][0]["message"]["content"] == "one two three"
    streamed = curl("-N", address, *headers, "-d", json.dumps({"messages": MESSAGES, "stream": True}))
    assert streamed.endswith("data: [DONE]\n\n")


NODE = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: process.env.URL, apiKey: process.env.KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "one two three" }];
const whole = await client.chat.completions.create({ model: "tiny", messages });
const stream = await client.chat.completions.create({ model: "tiny", messages, stream: true });
let pieces = "";
for await (const chunk of stream) pieces += chunk.choices[0]?.delta?.content ?? "";
let refused = "";
try { await client.chat.completions.create({ model: "gpt-9", messages }); }
catch (error) { refused = `${error.constructor.name} ${error.code}`; }
console.log(JSON.stringify([whole.choices[0].message.content, pieces, refused]));
"""


@pytest.mark.slow
def test_the_openai_package_of_npm_chats_streams_and_raises(locked, tmp_path):
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not installed")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "openai@7"], cwd=tmp_path, capture_output=True, text=True
    )
    if installed.returncode:
        pytest.skip(f"npm cannot install openai here: {installed.stderr.strip()[-200:]}")
    script = tmp_path / "ask.mjs"
    script.write_text(NODE)
    done = subprocess.run(
        [node, str(script)],
        cwd=tmp_path,
        env={"URL": locked[0], "KEY": locked[1], "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["one two three", "one two three", "NotFoundError model_not_found"]
