import json
import subprocess
import sys
import threading
from importlib.util import find_spec
from queue import SimpleQueue

import pytest
from engine_fixtures import answered, failure, heard, text
from serve_fixtures import ask
from tiny_gguf import make_gguf

from ta_schemas import InputError
from ta_serve.config import Generation, Settings
from ta_serve.engines.llama_cpp.engine import LlamaCppEngine
from ta_serve.engines.protocol import Delta, Failed, Finished, Request

pytestmark = pytest.mark.skipif(not find_spec("llama_cpp"), reason="needs ta-serve[llama-cpp]")

QUESTIONS = [
    "List the hidden files.",
    "Hi",
    "5 € für 日本語 🙂",
    "ls",
    "Use ls -a .",
    "How do I list the files?",
]
SYSTEM = "You are a shell assistant. Answer with one sentence, and warn before anything is deleted."


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    return make_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def llama(gguf):
    with LlamaCppEngine(gguf, threads=1) as engine:
        yield engine


REFERENCE = """
import json, sys
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=512, n_threads=1, verbose=False)
for prompt in json.load(sys.stdin):
    done = model.create_completion(prompt, max_tokens=24, temperature=0, repeat_penalty=1.0)
    print(json.dumps([done["choices"][0]["text"], done["usage"]["prompt_tokens"]]))
"""


def test_greedy_answers_are_those_of_llama_cpp_python(llama, gguf):
    prompts = [f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n" for question in QUESTIONS]
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE, str(gguf)], input=json.dumps(prompts), capture_output=True, text=True
    )
    expected = [json.loads(line) for line in done.stdout.splitlines()]
    answers = llama.generate([ask(question) for question in QUESTIONS], max_tokens=24)
    # It leaves out bytes that are no character.
    assert [[a.text.replace("\ufffd", ""), a.prompt_tokens] for a in answers] == expected


@pytest.mark.parametrize("system", ["", SYSTEM], ids=["no shared prefix", "shared prefix"])
def test_many_at_once_are_answered_as_one_by_one(llama, system):
    batch = [ask(question, system=system) for question in QUESTIONS * 4]
    together = llama.generate(batch, max_tokens=32)
    assert together[: len(QUESTIONS)] == [
        llama.generate([m], max_tokens=32)[0] for m in batch[: len(QUESTIONS)]
    ]
    assert together == together[: len(QUESTIONS)] * 4
    assert len({answer.text for answer in together}) > 3, "everything is answered alike: the test shows nothing"


def test_prompts_longer_than_a_batch_are_read_in_chunks(gguf, llama):
    batch = [ask(f"{n} " + "list the files " * 6) for n in range(5)]
    with LlamaCppEngine(gguf, threads=1, batch_tokens=16) as engine:
        assert engine.generate(batch, max_tokens=16) == llama.generate(batch, max_tokens=16)


def test_who_finds_no_room_goes_on_later_with_the_same_answer(gguf):
    """The cache holds 512 tokens; all begin, but there is no room for all to end."""
    batch = [ask(f"{n}") for n in range(6)]
    options = {"max_tokens": 200, "temperature": 2.0, "seed": 8}
    with LlamaCppEngine(gguf, threads=1, keep_bytes=0) as engine:
        together = engine.generate(batch, **options)
        assert together == [engine.generate([messages], **options)[0] for messages in batch]
    assert sum(answer.prompt_tokens + answer.completion_tokens for answer in together) > 700


def test_streamed_text_is_generated_text_in_whole_characters(llama):
    for question in QUESTIONS:
        pieces = list(llama.stream(ask(question), max_tokens=40, temperature=1.0, seed=3))
        (answer,) = llama.generate([ask(question)], max_tokens=40, temperature=1.0, seed=3)
        assert "".join(pieces) == answer.text
        assert len(pieces) > 3


def test_an_answer_ends_at_a_stop_string_which_is_not_part_of_it(llama):
    whole, _ = answered(llama)
    stopped, last = answered(llama, stop=(whole[5:8],))
    assert stopped == whole[: whole.index(whole[5:8])]
    assert last.reason == "stop"


def test_a_special_token_named_as_stop_string_stops_though_it_is_never_text(llama):
    free = [answered(llama, temperature=2.0, seed=n)[1].usage.completion_tokens for n in range(40)]
    stopping = [
        answered(llama, temperature=2.0, seed=n, stop=("<filename>",))[1].usage.completion_tokens
        for n in range(40)
    ]
    assert sum(stopping) < sum(free)
    assert all(few <= many for few, many in zip(stopping, free, strict=True))


def test_stop_strings_of_the_settings_count(gguf, llama):
    whole, _ = answered(llama)
    settings = Settings(generation=Generation(stop=[whole[5:8]]))
    with LlamaCppEngine(gguf, threads=1, settings=settings) as engine:
        assert answered(engine)[0] == whole[: whole.index(whole[5:8])]


def test_max_tokens_bounds_the_answer_and_usage_counts_it(llama):
    _, last = answered(llama, max_tokens=5)
    assert last.reason == "length"
    assert last.usage.completion_tokens == 5
    assert last.usage.prompt_tokens == llama.count_tokens(Request(id="count", messages=ask("Hi")))


def test_without_max_tokens_an_answer_may_fill_the_context(llama):
    _, last = answered(llama, max_tokens=None, temperature=0.2, seed=1)
    used = last.usage.prompt_tokens + last.usage.completion_tokens
    assert (last.reason == "length") == (used == llama.stats().context_tokens)


def test_the_same_seed_draws_the_same_answer_whatever_else_runs(llama):
    alone = [answered(llama, temperature=1.0, seed=n)[0] for n in range(6)]
    queues = [SimpleQueue() for _ in alone]
    for n, queue in enumerate(queues):
        llama.submit(Request(id=str(n), messages=ask("Hi"), max_tokens=24, temperature=1.0, seed=n), queue.put)
    together = []
    for queue in queues:
        events = [queue.get(timeout=60)]
        while isinstance(events[-1], Delta):
            events.append(queue.get(timeout=60))
        together.append(text(events))
    assert together == alone
    assert len(set(alone)) > 3


def test_without_a_seed_every_answer_is_another_one(llama):
    assert len({answered(llama, temperature=2.0)[0] for _ in range(4)}) > 1


def test_temperature_top_k_and_top_p_have_an_effect(llama):
    greedy = answered(llama)[0]
    assert answered(llama, temperature=3.0, seed=1)[0] != greedy
    assert answered(llama, temperature=3.0, seed=1, top_k=1)[0] == greedy
    assert answered(llama, temperature=0.5, seed=1, top_p=1e-6)[0] == greedy


@pytest.mark.parametrize("penalty", ["presence_penalty", "frequency_penalty"])
def test_a_large_penalty_forbids_repetition(llama, penalty):
    """Every token of the tiny model is one or two bytes, so repeated bytes are repeated tokens."""
    free = answered(llama, messages=ask("ls"), max_tokens=60)[0]
    punished = answered(llama, messages=ask("ls"), max_tokens=60, **{penalty: 100.0})[0]
    ascii_only = [c for c in punished if c.isascii()]
    assert len(ascii_only) == len(set(ascii_only))
    assert punished != free


def test_a_shared_beginning_is_computed_once(llama):
    before = llama.stats().cached_tokens
    first = answered(llama, messages=ask("Hi", system=f"One. {SYSTEM}"))[1].usage
    second = answered(llama, messages=ask("ls", system=f"One. {SYSTEM}"))[1].usage
    assert second.cached_tokens > 80 > first.cached_tokens
    assert llama.stats().cached_tokens == before + first.cached_tokens + second.cached_tokens


def test_those_who_come_together_wait_for_the_first_to_read_what_they_share(llama):
    before = llama.stats()
    llama.generate([ask(f"question {n}", system=f"Two. {SYSTEM}") for n in range(8)], max_tokens=4)
    after = llama.stats()
    assert after.cached_tokens - before.cached_tokens > 0.6 * (after.prompt_tokens - before.prompt_tokens)


def test_the_next_turn_of_a_conversation_finds_the_last_one(llama):
    messages = ask("tell me all", system="Once.")
    schema = {"type": "string", "minLength": 70, "maxLength": 70}  # whole characters, and worth saving
    said, last = answered(llama, messages=messages, json_schema=schema, max_tokens=300)
    turn = [*messages, {"role": "assistant", "content": said}, *ask("and then?")]
    assert answered(llama, messages=turn)[1].usage.cached_tokens > last.usage.prompt_tokens


def test_context_and_memory_are_bounded_as_asked(gguf):
    with LlamaCppEngine(gguf, threads=1, context_tokens=256, keep_bytes=0) as engine:
        assert engine.stats().context_tokens == 256
        assert failure(engine, messages=ask("ls " * 200)).code == "context_length_exceeded"
        for _ in range(2):
            usage = answered(engine, messages=ask("Hi", system=SYSTEM))[1].usage
    assert usage.cached_tokens == 0


def test_no_more_than_parallel_run_at_once(gguf):
    most = 0
    with LlamaCppEngine(gguf, threads=1, parallel=2) as engine:
        done = threading.Event()

        def deliver(event):
            nonlocal most
            most = max(most, engine.stats().running)
            if not isinstance(event, Delta):
                done.set()

        for n in range(6):
            engine.submit(Request(id=str(n), messages=ask("Hi"), max_tokens=30), deliver)
        assert done.wait(60)
        engine.generate([ask("ls")], max_tokens=2)
    assert most == 2


def test_a_cancelled_request_ends_at_the_next_step(llama):
    queue = SimpleQueue()
    llama.submit(Request(id="long", messages=ask("Hi"), temperature=2.0, seed=1, max_tokens=400), queue.put)
    queue.get(timeout=60)
    llama.cancel("long")
    while isinstance(event := queue.get(timeout=60), Delta):
        pass
    assert isinstance(event, Finished)
    assert event.reason == "cancelled"
    assert event.usage.completion_tokens < 400
    llama.cancel("unknown")


def test_a_closed_stream_stops_computing(llama):
    stream = llama.stream(ask("Hi"), max_tokens=400, temperature=2.0, seed=1)
    next(stream)
    stream.close()
    llama.generate([ask("Hi")], max_tokens=1)
    assert llama.stats().running == llama.stats().waiting == 0


def test_a_request_that_is_not_done_by_its_deadline_fails(llama):
    failed = failure(llama, deadline_s=1e-6)
    assert failed.code == "deadline"
    assert failure(llama, max_tokens=None, temperature=2.0, seed=1, deadline_s=0.02).code == "deadline"


def test_more_than_may_wait_are_refused_at_once(gguf):
    with LlamaCppEngine(gguf, threads=1, parallel=1, max_waiting=1) as engine:
        queue = SimpleQueue()
        for n in range(3):
            engine.submit(Request(id=str(n), messages=ask("Hi"), max_tokens=300), queue.put)
        failed = next(e for e in iter(lambda: queue.get(timeout=60), None) if isinstance(e, Failed))
    assert failed.code == "overloaded"


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"messages": ask("ls " * 600)}, "context_length_exceeded", "512"),
        ({"messages": ask("l" * 100_000)}, "context_length_exceeded", "characters"),
        ({"model": "base:other"}, "model_not_found", "base:other"),
        ({"messages": []}, "invalid_request", "messages"),
        ({"messages": [{"role": "user"}]}, "invalid_request", "messages"),
        ({"messages": [{"role": "user", "content": None}]}, "invalid_request", "messages"),
        ({"messages": ask("\ud800")}, "invalid_request", "Unicode"),
        ({"prompt": "both"}, "invalid_request", "exactly one"),
        ({"messages": None, "prompt": ""}, "invalid_request", "empty prompt"),
        ({"max_tokens": 0}, "invalid_request", "max_tokens 0"),
        ({"temperature": -1.0}, "invalid_request", "temperature -1"),
        ({"temperature": float("nan")}, "invalid_request", "temperature nan"),
        ({"top_p": 0.0}, "invalid_request", "top_p 0"),
        ({"top_k": -1}, "invalid_request", "top_k -1"),
        ({"stop": ("x",) * 20}, "invalid_request", "20 strings"),
    ],
)
def test_what_cannot_be_answered_fails_with_its_code(llama, fields, code, message):
    failed = failure(llama, **fields)
    assert failed.code == code
    assert message in failed.message


def test_generate_and_stream_raise_what_the_caller_can_mend(llama):
    with pytest.raises(InputError, match="conversation 2: messages"):
        llama.generate([ask("Hi"), []], max_tokens=4)
    with pytest.raises(InputError, match="max_tokens 0"):
        list(llama.stream(ask("Hi"), max_tokens=0))
    with pytest.raises(InputError, match="messages"):
        llama.count_tokens(Request(id="x", messages=[]))


def test_generate_tells_its_progress(llama):
    ready = []
    llama.generate([ask(q) for q in QUESTIONS], max_tokens=4, progress=ready.append)
    assert sum(ready) == len(QUESTIONS)


def test_a_plain_prompt_is_continued_as_it_is(llama):
    whole, last = answered(
        llama, messages=None, prompt="<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert whole == answered(llama)[0]
    assert last.usage.prompt_tokens == llama.count_tokens(Request(id="x", messages=ask("Hi")))


def test_a_model_without_chat_template_continues_prompts_only(tmp_path):
    with LlamaCppEngine(make_gguf(tmp_path / "plain.gguf", template=None), threads=1) as engine:
        assert "no chat template" in failure(engine).message
        assert isinstance(answered(engine, messages=None, prompt="ls")[1], Finished)


def test_an_id_in_use_is_refused(llama):
    queue = SimpleQueue()
    llama.submit(Request(id="same", messages=ask("Hi"), max_tokens=300), queue.put)
    assert "'same'" in heard(llama, Request(id="same", messages=ask("Hi")))[-1].message
    llama.cancel("same")


def test_answers_follow_a_json_schema(llama):
    schema = {
        "type": "object",
        "properties": {"risk": {"enum": ["none", "some"]}, "count": {"type": "boolean"}},
        "required": ["risk", "count"],
    }
    for options in ({}, {"temperature": 2.0, "seed": 1}):
        said, last = answered(llama, json_schema=schema, max_tokens=200, **options)
        assert last.reason == "stop", said
        assert set(json.loads(said)) == {"risk", "count"}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"$ref": "https://example.org/schema.json"}, "not allowed"),
        ({"type": "array", "items": {}, "maxItems": 10**9}, "maxItems"),
        ({"type": "no such type"}, "no such type"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "json_schema"),
        ({"description": "x" * 100_000}, "at most"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused(llama, schema, message):
    failed = failure(llama, json_schema=schema)
    assert failed.code == "invalid_request"
    assert message in failed.message
