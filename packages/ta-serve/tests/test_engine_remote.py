import os
import signal
import time
from queue import SimpleQueue

import pytest
from serve_fixtures import ask
from stub_servers import PIECES, stub_server
from tiny_gguf import make_gguf

from ta_schemas import InputError, SetupError
from ta_serve.engines.ollama import OllamaEngine
from ta_serve.engines.openai_http import OpenAiHttpEngine
from ta_serve.engines.protocol import Delta, Failed, Finished, Request, Usage
from ta_serve.open import open_engine


@pytest.fixture
def server():
    with stub_server() as running:
        yield running


@pytest.fixture(params=["openai-http", "ollama"])
def remote(request, server):
    url = f"{server.url}/v1" if request.param == "openai-http" else server.url
    with open_engine(url, engine=request.param) as engine:
        yield engine


def heard(engine, request):
    queue, events = SimpleQueue(), []
    engine.submit(request, queue.put)
    while not events or isinstance(events[-1], Delta):
        events.append(queue.get(timeout=30))
    return events


def test_the_pieces_of_the_server_are_the_events(remote):
    for fields in ({"messages": ask("Hi")}, {"prompt": "Hi"}):
        events = heard(remote, Request(id="1", **fields))
        assert [event.text for event in events[:-1]] == PIECES
        assert events[-1].reason == "length"
        assert events[-1].usage[:2] == (7, 4)


def test_counters_add_up(remote):
    (answer,) = remote.generate([ask("Hi")], max_tokens=4)
    assert (answer.text, answer.finish_reason) == ("".join(PIECES), "length")
    assert "".join(remote.stream(ask("Hi"), max_tokens=4)) == answer.text
    stats = remote.stats()
    assert (stats.prompt_tokens, stats.completion_tokens, stats.running) == (14, 8, 0)
    assert remote.count_tokens(Request(id="x", messages=ask("Hi"))) == 7


def test_openai_servers_tell_their_cached_tokens(server):
    with OpenAiHttpEngine(f"{server.url}/v1") as engine:
        assert heard(engine, Request(id="1", messages=ask("Hi")))[-1] == Finished("length", Usage(7, 4, 3))


FIELDS = {
    "max_tokens": 5,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 3,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "seed": 4,
    "stop": ("x",),
}


def test_openai_servers_are_asked_in_their_words(server):
    with OpenAiHttpEngine(f"{server.url}/v1", model="large") as engine:
        heard(engine, Request(id="1", messages=ask("Hi"), json_schema={"type": "object"}, **FIELDS))
        heard(engine, Request(id="2", prompt="Hi", model="small", json_schema={}))
    first, second = server.asked
    assert first["model"] == "large"
    assert first["messages"] == ask("Hi")
    assert {key: first[key] for key in FIELDS} == FIELDS | {"stop": ["x"]}
    assert first["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (second["model"], second["prompt"]) == ("small", "Hi")
    assert second["response_format"] == {"type": "json_object"}
    assert "max_tokens" not in second


def test_ollama_is_asked_in_its_words(server):
    with OllamaEngine(server.url, model="small") as engine:
        heard(engine, Request(id="1", messages=ask("Hi"), json_schema={"type": "object"}, **FIELDS))
        heard(engine, Request(id="2", prompt="Hi", json_schema={}))
    first, second = server.asked
    assert first["model"] == "small:latest"
    assert first["format"] == {"type": "object"}
    options = first["options"]
    assert options["num_predict"] == 5
    assert {key: options[key] for key in FIELDS if key in options} == {
        key: value for key, value in FIELDS.items() if key != "max_tokens"
    } | {"stop": ["x"]}
    assert second["raw"]
    assert second["format"] == "json"
    assert second["options"]["num_predict"] == -1


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, None, "model_not_found"),
        (400, "context_length_exceeded", "context_length_exceeded"),
        (400, None, "invalid_request"),
        (429, None, "overloaded"),
        (500, None, "engine_died"),
    ],
)
def test_refusals_of_the_server_have_their_code(remote, server, status, code, expected):
    server.fault, server.code = status, code
    failed = heard(remote, Request(id="1", messages=ask("Hi")))[-1]
    assert failed.code == expected
    assert f"fault {status}" in failed.message


@pytest.mark.parametrize("fault", ["midway", "cut"])
def test_an_answer_that_breaks_off_fails(remote, server, fault):
    server.fault = fault
    events = heard(remote, Request(id="1", messages=ask("Hi")))
    assert events[0] == Delta(PIECES[0])
    assert events[-1].code == "engine_died"


def test_cancelling_closes_the_connection(remote, server):
    server.fault = "slow"
    queue = SimpleQueue()
    remote.submit(Request(id="1", messages=ask("Hi")), queue.put)
    queue.get(timeout=30)
    remote.cancel("1")
    while isinstance(event := queue.get(timeout=30), Delta):
        pass
    assert event.reason == "cancelled"
    assert server.left.wait(30)


def test_a_deadline_ends_the_answer(remote, server):
    server.fault = "slow"
    assert heard(remote, Request(id="1", messages=ask("Hi"), deadline_s=0.2))[-1].code == "deadline"


def test_closing_fails_what_is_open_and_what_comes(remote, server):
    server.fault = "slow"
    queue = SimpleQueue()
    remote.submit(Request(id="1", messages=ask("Hi")), queue.put)
    queue.get(timeout=30)
    remote.close()
    while isinstance(event := queue.get(timeout=30), Delta):
        pass
    assert event.code == "closed"
    assert heard(remote, Request(id="2", messages=ask("Hi")))[-1].code == "closed"


def test_a_wrong_request_never_reaches_the_server(remote, server):
    for fields in ({"messages": []}, {"messages": ask("Hi"), "model": "absent"}):
        assert isinstance(heard(remote, Request(id="1", **fields))[-1], Failed)
    assert server.asked == []


@pytest.mark.parametrize("engine", ["openai-http", "ollama"])
def test_what_is_no_server_or_has_no_such_model_is_named(server, engine):
    path = "/v1" if engine == "openai-http" else ""
    with pytest.raises(InputError, match="no model 'absent"):
        open_engine(server.url + path, engine=engine, model="absent")
    with pytest.raises(SetupError, match="not .* list of models|no such server"):
        open_engine(f"{server.url}/elsewhere", engine=engine)
    with pytest.raises(SetupError, match="no such server answers there"):
        open_engine("http://127.0.0.1:9", engine=engine)
    with pytest.raises(InputError, match="wants a URL"):
        open_engine("somewhere", engine=engine)


def test_an_api_key_goes_along(server):
    server.fault = "key"
    with pytest.raises(InputError, match="wants an API key"):
        open_engine(f"{server.url}/v1")
    with open_engine(f"{server.url}/v1", api_key="right") as engine:
        assert engine.models() == ["small", "large"]


def test_llama_server_answers_as_our_own_llama_cpp_engine(tmp_path):
    pytest.importorskip("xllamacpp", reason="needs ta-serve[fast]")
    gguf = make_gguf(tmp_path / "tiny.gguf")
    with open_engine(gguf, engine="xllamacpp", threads=1, parallel=2) as engine:
        (answer,) = engine.generate([ask("Hi")], max_tokens=12)
        assert engine.count_tokens(Request(id="x", messages=ask("Hi"))) == answer.prompt_tokens
        assert answer.completion_tokens == 12
    with open_engine(gguf, threads=1) as ours:
        assert ours.generate([ask("Hi")], max_tokens=12)[0].prompt_tokens == answer.prompt_tokens
    with pytest.raises(InputError, match="no such file"):
        open_engine(tmp_path / "absent.gguf", engine="xllamacpp")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match="cannot load it"):
        open_engine(tmp_path / "bad.gguf", engine="xllamacpp")


def until(condition, *, within_s=30):
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s} s"
        time.sleep(0.01)


@pytest.fixture
def llama_server(tmp_path):
    pytest.importorskip("xllamacpp", reason="needs ta-serve[fast]")
    gguf = make_gguf(tmp_path / "tiny.gguf")
    with open_engine(gguf, engine="xllamacpp", threads=1, parallel=2) as engine:
        yield engine


def test_a_llama_server_that_is_killed_fails_what_it_was_asked_and_is_there_again(llama_server):
    asked = [SimpleQueue() for _ in range(4)]
    for number, queue in enumerate(asked):
        llama_server.submit(Request(id=f"{number}", messages=ask("Hi"), max_tokens=400), queue.put)
    asked[0].get(timeout=30)
    os.kill(llama_server._process.pid, signal.SIGKILL)
    for queue in asked:
        while isinstance(event := queue.get(timeout=30), Delta):
            pass
        assert (event.code, event.message) == ("engine_died", "the engine died: ask again")
    until(lambda: llama_server.stats().restarts == 1 and llama_server.stats().ready)
    assert isinstance(heard(llama_server, Request(id="9", messages=ask("Hi"), max_tokens=2))[-1], Finished)


def test_a_llama_server_whose_file_has_gone_refuses_instead_of_keeping_requests(llama_server, tmp_path):
    (tmp_path / "tiny.gguf").unlink()
    os.kill(llama_server._process.pid, signal.SIGKILL)
    until(lambda: not llama_server.stats().ready)
    failed = heard(llama_server, Request(id="1", messages=ask("Hi"), max_tokens=2))[-1]
    assert failed.code == "engine_died"
    assert "cannot be started again" in failed.message
