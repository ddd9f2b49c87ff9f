"""The process that llama.cpp runs in: killed, closed, its threads, files that are no model."""

import os
import signal
import time
from importlib.util import find_spec
from queue import SimpleQueue

import pytest
from engine_fixtures import answered, failure
from serve_fixtures import ask
from tiny_gguf import make_gguf

from ta_schemas import InputError, SetupError
from ta_serve.engines.llama_cpp.engine import LlamaCppEngine
from ta_serve.engines.protocol import Delta, Finished, Request

pytestmark = pytest.mark.skipif(not find_spec("llama_cpp"), reason="needs ta-serve[llama-cpp]")


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    return make_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_an_engine_that_is_killed_fails_what_it_was_asked_and_is_there_again(gguf):
    with LlamaCppEngine(gguf, threads=1) as engine:
        queue = SimpleQueue()
        engine.submit(Request(id="1", messages=ask("Hi"), temperature=2.0, seed=1, max_tokens=400), queue.put)
        queue.get(timeout=60)
        killed = time.monotonic()
        os.kill(engine._child.process.pid, signal.SIGKILL)
        while isinstance(event := queue.get(timeout=60), Delta):
            pass
        assert event.code == "engine_died"
        whole, last = answered(engine)
        assert isinstance(last, Finished)
        assert whole
        assert time.monotonic() - killed < 30, "it should be back within 5 s on an idle machine"
        assert engine.stats().restarts == 1
        assert engine.stats().ready


def test_an_engine_whose_file_has_gone_fails_requests_instead_of_keeping_them(gguf, tmp_path):
    moved = make_gguf(tmp_path / "moved.gguf")
    with LlamaCppEngine(moved, threads=1) as engine:
        moved.unlink()
        os.kill(engine._child.process.pid, signal.SIGKILL)
        codes = {failure(engine).code for _ in range(3)}
        assert codes == {"engine_died"}
        assert not engine.stats().ready


def test_threads_hardly_spin_unless_the_user_says_so(monkeypatch):
    import ta_serve
    from ta_serve.engines.llama_cpp.child import child_environment

    monkeypatch.setattr(ta_serve, "GIVEN_SPIN", None)
    assert child_environment()["GOMP_SPINCOUNT"] == "100"
    monkeypatch.setattr(ta_serve, "GIVEN_SPIN", "7")
    assert child_environment()["GOMP_SPINCOUNT"] == "7"


def test_a_small_model_answers_one_with_one_thread_and_a_large_one_with_all():
    from ta_serve.engines.llama_cpp.model import threads_for_one

    assert [threads_for_one(size << 20, 4) for size in (138, 600, 8000)] == [1, 2, 4]
    assert threads_for_one(8000 << 20, 1) == 1


def test_a_closed_engine_answers_closed(gguf):
    engine = LlamaCppEngine(gguf, threads=1)
    queue = SimpleQueue()
    engine.submit(Request(id="1", messages=ask("Hi"), temperature=2.0, seed=1, max_tokens=400), queue.put)
    queue.get(timeout=60)
    engine.close()
    while isinstance(event := queue.get(timeout=60), Delta):
        pass
    assert event.code == failure(engine).code == "closed"
    with pytest.raises(SetupError, match="closed"):
        engine.count_tokens(Request(id="x", messages=ask("Hi")))
    engine.close()


def test_files_that_are_no_model_are_named(gguf, tmp_path):
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(InputError, match=r"text\.gguf: not a GGUF file"):
        LlamaCppEngine(tmp_path / "text.gguf")
    (tmp_path / "short.gguf").write_bytes(gguf.read_bytes()[:-5000])
    with pytest.raises(
        InputError, match=r"short\.gguf: cannot be loaded by llama\.cpp.*(bounds|incomplete|corrupt)"
    ):
        LlamaCppEngine(tmp_path / "short.gguf")
    with pytest.raises(InputError, match="unknown model architecture: 'newest'"):
        LlamaCppEngine(make_gguf(tmp_path / "new.gguf", arch="newest"))
    with pytest.raises(InputError, match="no such file"):
        LlamaCppEngine(tmp_path / "absent.gguf")
