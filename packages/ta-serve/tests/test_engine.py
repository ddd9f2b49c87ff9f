import pytest
import torch
from serve_fixtures import SPECIAL, ask, make_model

from ta_schemas import InputError, SetupError
from ta_serve.engines.decode import Prefix, decode, plan_batches
from ta_serve.engines.device import native_bf16, pick_device, pick_dtype
from ta_serve.engines.transformers import TransformersEngine

QUESTIONS = [
    "List the hidden files.",
    "Hi",
    "How do I list the hidden files of a folder that is far away from here, on another disk?",
    "5 € für 日本語 🙂",
    "ls",
    "Use ls -a .",
]
SYSTEM = "You are a shell assistant. Answer with one sentence."


def texts(answers):
    return [answer.text for answer in answers]


def reference(engine, messages, max_tokens):
    """Greedy text by transformers' own generate."""
    tokenizer = engine.tokenizer
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    out = engine.model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, do_sample=False
    )
    return tokenizer.decode(
        out[0, ids.shape[1] :], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )


def test_greedy_answers_are_those_of_transformers_generate(engine):
    batch = [ask(question, system=SYSTEM) for question in QUESTIONS]
    answers = engine.generate(batch, max_tokens=24)
    assert texts(answers) == [reference(engine, messages, 24) for messages in batch]


@pytest.mark.parametrize("system", ["", SYSTEM], ids=["no shared prefix", "shared prefix"])
def test_a_batch_answers_as_one_by_one(engine, system):
    batch = [ask(question, system=system) for question in QUESTIONS]
    together = engine.generate(batch, max_tokens=32)
    assert together == [engine.generate([messages], max_tokens=32)[0] for messages in batch]
    assert len(set(texts(together))) > 3, "the model answers everything alike: the test shows nothing"


def test_a_batch_of_the_very_same_question_is_answered(engine):
    answers = engine.generate([ask("ls", system=SYSTEM)] * 3, max_tokens=8)
    assert answers == engine.generate([ask("ls", system=SYSTEM)], max_tokens=8) * 3


def test_unequal_lengths_leave_at_different_times_without_disturbing_the_others(engine):
    batch = [ask(question) for question in QUESTIONS]
    prompts = [engine._rows([m], max_tokens=30, temperature=0, seed=0, stop=[])[0] for m in batch]
    for at, row in enumerate(prompts):
        row.max_tokens = 3 + 5 * at
    prefix = Prefix(engine.model, [row.prompt for row in prompts])
    for _ in decode(engine.model, prompts, prefix, pad_id=0, temperature=0):
        pass
    alone = [engine.generate([m], max_tokens=3 + 5 * at)[0] for at, m in enumerate(batch)]
    assert [row.completion() for row in prompts] == alone


def test_keeping_finished_rows_gives_the_same_answers(engine):
    rows = [engine._rows([ask(q)], max_tokens=20, temperature=0, seed=0, stop=["e"])[0] for q in QUESTIONS]
    prefix = Prefix(engine.model, [row.prompt for row in rows])
    for _ in decode(engine.model, rows, prefix, pad_id=0, temperature=0, shrink=False):
        pass
    expected = engine.generate([ask(q) for q in QUESTIONS], max_tokens=20, stop=["e"])
    assert [row.completion() for row in rows] == expected


def test_streamed_text_is_generated_text(engine):
    for question in QUESTIONS:
        pieces = list(engine.stream(ask(question), max_tokens=40))
        assert "".join(pieces) == engine.generate([ask(question)], max_tokens=40)[0].text


def test_streamed_pieces_are_whole_characters(engine):
    """A byte-level model of random weights says half characters: none may leave before it is whole."""
    for seed in range(8):
        pieces = list(engine.stream(ask("日本語 🙂"), max_tokens=40, temperature=1.0, seed=seed))
        for piece in pieces[:-1]:
            assert not piece.endswith("\ufffd")
            piece.encode("utf-8")


def test_a_closed_stream_stops_computing(engine):
    steps = []
    handle = engine.model.register_forward_pre_hook(lambda *_: steps.append(1))
    try:
        stream = engine.stream(ask("Hi"), max_tokens=200, temperature=1.0)
        next(stream)
        stream.close()
        done = len(steps)
        assert list(stream) == []
        assert len(steps) == done < 50
    finally:
        handle.remove()


def test_an_answer_ends_at_a_stop_string_which_is_not_part_of_it(engine):
    whole = engine.generate([ask("Hi")], max_tokens=30)[0].text
    stop = whole[5:8]
    answer = engine.generate([ask("Hi")], max_tokens=30, stop=[stop])[0]
    assert answer.text == whole[: whole.index(stop)]
    assert answer.finish_reason == "stop"
    assert "".join(engine.stream(ask("Hi"), max_tokens=30, stop=[stop])) == answer.text


def test_stop_strings_of_the_settings_count(base):
    engine = TransformersEngine.load(base.path, device="cpu", dtype="float32")
    whole = engine.generate([ask("Hi")], max_tokens=30)[0].text
    engine.settings.generation.stop = [whole[5:8]]
    assert engine.generate([ask("Hi")], max_tokens=30)[0].text == whole[: whole.index(whole[5:8])]


def test_the_stop_token_ends_an_answer_and_is_neither_shown_nor_counted(engine):
    answers = engine.generate([ask(q) for q in QUESTIONS * 8], max_tokens=60, temperature=2.0)
    stopped = [answer for answer in answers if answer.finish_reason == "stop"]
    assert stopped, "no answer met the stop token: the test shows nothing"
    for answer in answers:
        assert not any(token in answer.text for token in SPECIAL)
    assert all(answer.completion_tokens < 60 for answer in stopped)


def test_a_special_token_named_as_stop_string_stops_though_it_is_never_text(engine):
    free = engine.generate([ask(q) for q in QUESTIONS * 8], max_tokens=60, temperature=2.0, seed=3)
    stopping = engine.generate(
        [ask(q) for q in QUESTIONS * 8], max_tokens=60, temperature=2.0, seed=3, stop=["<|im_start|>"]
    )
    assert sum(a.completion_tokens for a in stopping) < sum(a.completion_tokens for a in free)


def test_max_tokens_bounds_the_answer_and_is_reported(engine):
    (answer,) = engine.generate([ask("Hi")], max_tokens=5)
    assert (answer.completion_tokens, answer.finish_reason) == (5, "length")


def test_the_same_seed_draws_the_same_answers_in_any_batch(engine):
    batch = [ask(question) for question in QUESTIONS]
    first = engine.generate(batch, max_tokens=16, temperature=1.0, seed=1)
    assert first == engine.generate(batch[::-1], max_tokens=16, temperature=1.0, seed=1)[::-1]
    assert first[0] == engine.generate(batch[:1], max_tokens=16, temperature=1.0, seed=1)[0]
    assert first != engine.generate(batch, max_tokens=16, temperature=1.0, seed=2)


def test_temperature_changes_the_answer(engine):
    greedy = engine.generate([ask("Hi")], max_tokens=16)
    assert greedy != engine.generate([ask("Hi")], max_tokens=16, temperature=3.0)


def test_draws_follow_the_distribution(engine):
    """Of 400 one-token answers, the likeliest token has about its share."""
    (row,) = engine._rows([ask("Hi")], max_tokens=1, temperature=1, seed=0, stop=[])
    with torch.inference_mode():
        shares = torch.softmax(engine.model(torch.tensor([row.prompt])).logits[0, -1], -1)
    from ta_serve.engines.decode import pick

    logits = shares.log()[None].repeat(400, 1)
    rows = [engine._rows([ask("Hi")], max_tokens=1, temperature=1, seed=s, stop=[])[0] for s in range(400)]
    drawn = pick(logits, rows, temperature=1.0)
    likeliest = int(shares.argmax())
    expected = float(shares[likeliest])
    assert drawn.count(likeliest) / 400 == pytest.approx(expected, abs=4 * (expected / 400) ** 0.5)


def test_progress_hears_of_every_answer(base):
    engine = TransformersEngine.load(base.path, device="cpu", dtype="float32", max_batch_tokens=100)
    heard = []
    engine.generate([ask(q) for q in QUESTIONS], max_tokens=8, progress=heard.append)
    assert sum(heard) == len(QUESTIONS)
    assert len(heard) > 1


def test_max_batch_tokens_bounds_the_batch(base):
    largest = []
    for bound in (1, 8192):
        engine = TransformersEngine.load(base.path, device="cpu", dtype="float32", max_batch_tokens=bound)
        sizes = []
        engine.model.model.embed_tokens.register_forward_hook(
            lambda _, inputs, __, sizes=sizes: sizes.append(inputs[0].shape[0])
        )
        engine.generate([ask(q) for q in QUESTIONS], max_tokens=4)
        largest.append(max(sizes))
    assert largest == [1, len(QUESTIONS)]


def test_batches_hold_like_lengths_within_the_bound():
    lengths = [10, 90, 12, 80, 11, 200]
    batches = plan_batches(lengths, max_tokens=10, max_batch_tokens=210)
    assert batches == [[5], [1, 3], [2, 4, 0]]
    assert sorted(at for batch in batches for at in batch) == list(range(6))


def test_nothing_asked_is_nothing_answered(engine):
    assert engine.generate([], max_tokens=4) == []


def test_what_the_user_got_wrong_is_said_before_anything_is_computed(engine):
    with pytest.raises(InputError, match="conversation 2: messages: expected"):
        engine.generate([ask("Hi"), []], max_tokens=4)
    with pytest.raises(InputError, match="max_tokens 0"):
        engine.generate([ask("Hi")], max_tokens=0)
    with pytest.raises(InputError, match="temperature -1"):
        engine.generate([ask("Hi")], max_tokens=1, temperature=-1)
    with pytest.raises(InputError, match="more than the 512 of the model"):
        engine.generate([ask("word " * 600)], max_tokens=4)


def test_an_answer_never_goes_past_the_context_of_the_model(engine):
    (answer,) = engine.generate([ask("ls " * 150)], max_tokens=10_000)
    assert answer.prompt_tokens + answer.completion_tokens <= 512


def test_a_model_without_chat_template_is_refused(tmp_path):
    folder = make_model(tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        TransformersEngine.load(folder, device="cpu")


def test_merged_and_unmerged_adapters_give_the_same_logits(base, adapter):
    prompt = torch.tensor([[5, 9, 20, 33, 7]])
    logits = []
    for merge in (True, False):
        engine = TransformersEngine.load(base.path, adapter.path, device="cpu", dtype="float32", merge=merge)
        assert engine.adapted
        assert any("lora_" in name for name, _ in engine.model.named_parameters()) != merge
        with torch.inference_mode():
            logits.append(engine.model(prompt).logits)
    assert torch.allclose(*logits, atol=1e-3)


def test_an_adapter_changes_the_answers_and_a_base_model_says_it_has_none(engine, base, adapter):
    tuned = TransformersEngine.load(base.path, adapter.path, device="cpu", dtype="float32")
    asked = [ask(q) for q in QUESTIONS]
    assert tuned.generate(asked, max_tokens=16) != engine.generate(asked, max_tokens=16)
    assert not engine.adapted


def test_dtype_is_what_was_asked(base):
    engine = TransformersEngine.load(base.path, device="cpu", dtype="bfloat16")
    assert engine.model.dtype == torch.bfloat16
    assert engine.generate([ask("Hi")], max_tokens=4)[0].completion_tokens == 4


@pytest.mark.parametrize(
    ("line", "native"),
    [
        ("flags\t\t: fpu sse2 avx2 fma", False),
        ("flags\t\t: fpu avx512f avx512_bf16", True),
        ("flags\t\t: fpu amx_bf16", True),
        ("Features\t: fp asimd bf16 i8mm", True),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_has_it(tmp_path, line, native):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\n{line}\n")
    assert native_bf16(cpuinfo) == native
    assert pick_dtype("auto", "cpu", cpuinfo=cpuinfo) == (torch.bfloat16 if native else torch.float32)
    assert pick_dtype("auto", "cuda", cpuinfo=cpuinfo) == torch.bfloat16
    assert pick_dtype("float16", "cpu", cpuinfo=cpuinfo) == torch.float16


def test_a_machine_that_does_not_tell_its_processor_gets_float32(tmp_path):
    assert not native_bf16(tmp_path / "absent")


def test_unknown_or_absent_devices_are_named():
    with pytest.raises(InputError, match="device 'tpu'"):
        pick_device("tpu")
    with pytest.raises(InputError, match="dtype 'int3'"):
        pick_dtype("int3", "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(SetupError, match="use --device cpu"):
            pick_device("cuda")
