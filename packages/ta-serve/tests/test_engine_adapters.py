import os
from importlib.util import find_spec
from queue import SimpleQueue

import pytest
from serve_fixtures import ask
from tiny_gguf import make_gguf, make_lora

from ta_schemas import InputError
from ta_serve.engines.llama_cpp.engine import LlamaCppEngine
from ta_serve.engines.protocol import Delta, Finished, Request

pytestmark = pytest.mark.skipif(not find_spec("llama_cpp"), reason="needs ta-serve[llama-cpp]")

NAMES = ["base", "base:a", "base:b"]
SYSTEM = "You are a shell assistant. Answer with one sentence, and warn before anything is deleted."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    make_gguf(folder / "tiny.gguf")
    make_lora(folder / "a.gguf", seed=1)
    make_lora(folder / "b.gguf", seed=2)
    return folder


@pytest.fixture(scope="module")
def engine(folder):
    adapters = {name: folder / f"{name}.gguf" for name in "ab"}
    with LlamaCppEngine(folder / "tiny.gguf", adapters=adapters, threads=1) as engine:
        yield engine


def answers(engine, asked):
    """Texts and usages of requests (model, messages) that run at the same time."""
    queues = [SimpleQueue() for _ in asked]
    for (model, messages), queue in zip(asked, queues, strict=True):
        request = Request(id=os.urandom(4).hex(), model=model, messages=messages, max_tokens=24)
        engine.submit(request, queue.put)
    found = []
    for queue in queues:
        text = ""
        while isinstance(event := queue.get(timeout=60), Delta):
            text += event.text
        assert isinstance(event, Finished), event
        found.append((text, event.usage))
    return found


def test_adapters_are_models_of_their_own(engine):
    assert engine.models() == NAMES
    assert engine.stats().adapters == ("a", "b")
    texts = [answers(engine, [(name, ask("Hi"))])[0][0] for name in NAMES]
    assert len(set(texts)) == 3


def test_requests_for_different_adapters_at_once_are_answered_as_alone(engine):
    asked = [(NAMES[n % 3], ask(f"question {n}")) for n in range(9)]
    alone = [answers(engine, [one])[0][0] for one in asked]
    assert [text for text, _ in answers(engine, asked)] == alone


def test_what_one_adapter_computed_is_not_reused_under_another(folder):
    adapters = {"a": folder / "a.gguf"}
    with LlamaCppEngine(folder / "tiny.gguf", adapters=adapters, threads=1) as engine:
        answers(engine, [("base", ask("Hi", system=SYSTEM))])
        ((text, usage),) = answers(engine, [("base:a", ask("ls", system=SYSTEM))])
        assert usage.cached_tokens == 0
        ((again, usage),) = answers(engine, [("base:a", ask("ls", system=SYSTEM))])
        assert usage.cached_tokens > 80
        assert again == text


def test_an_adapter_of_another_base_is_refused(folder, tmp_path):
    wrong = make_lora(tmp_path / "wide.gguf", seed=1, width=128)
    with pytest.raises(InputError, match=r"wide\.gguf: not an adapter of this base model"):
        LlamaCppEngine(folder / "tiny.gguf", adapters={"wide": wrong})


def test_a_model_is_no_adapter(folder):
    with pytest.raises(InputError, match=r"tiny\.gguf: not an adapter"):
        LlamaCppEngine(folder / "tiny.gguf", adapters={"self": folder / "tiny.gguf"})


def test_no_more_adapters_than_are_allowed_are_loaded(folder):
    adapters = {name: folder / f"{name}.gguf" for name in "ab"}
    with pytest.raises(InputError, match="2 adapters, at most 1"):
        LlamaCppEngine(folder / "tiny.gguf", adapters=adapters, max_adapters=1)
