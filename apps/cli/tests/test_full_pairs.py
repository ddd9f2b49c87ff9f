import json

import pytest
from full_fixtures import make_samples, stamps

from ta_schemas import Artifact, InputError, read_jsonl
from ta_schemas.rows import BenchmarkRow, ConversationRow, Message, PredictionRow, PreferenceRow
from ta_serve.engines.protocol import Delta, Failed, Finished, Usage
from tunedassist_cli.full import pairs as full_pairs
from tunedassist_cli.full.pairs import in_words, seal_pairs
from tunedassist_cli.full.sampling import Draws, Sampling, scorer_for, write_questions


def rows_of(preferences):
    return [
        row
        for name in ("train.jsonl", "validation.jsonl")
        for row in read_jsonl(preferences.file(name), PreferenceRow)
    ]


def row(answer, **keys):
    messages = [Message(role="user", content="How?"), Message(role="assistant", content=answer)]
    return ConversationRow(id="r", messages=messages, **keys)


class Echo:
    """An engine that answers with the seed it was given, the last request first."""

    def __init__(self):
        self.waiting = []

    def submit(self, request, deliver):
        self.waiting.append((request, deliver))
        if len(self.waiting) == 5:
            for asked, answer in reversed(self.waiting):
                answer(Delta(f"{asked.messages[0]['content']} {asked.seed}"))
                answer(Finished("stop", Usage(3, 2, 0)))


def drawn(seed):
    batch = [[{"role": "user", "content": text}] for text in ("a", "a", "b", "a", "b")]
    found = Draws(Echo, seed)(batch, max_tokens=4, temperature=1.0)
    return [reply.text.split() for reply in found]


def test_every_copy_of_every_question_is_drawn_under_a_seed_of_its_own_and_answers_stay_in_order():
    found = drawn(0)
    assert [question for question, _ in found] == ["a", "a", "b", "a", "b"]
    assert len({seed for _, seed in found}) == 5
    assert found == drawn(0)
    assert found != drawn(1)


def test_what_the_engine_refuses_is_raised():
    class Refusing:
        def submit(self, request, deliver):
            deliver(Failed("context_length_exceeded", "too long"))

    with pytest.raises(InputError, match="too long"):
        Draws(Refusing, 0)([[{"role": "user", "content": "a"}]], max_tokens=4, temperature=1.0)


def test_a_command_is_judged_by_its_command_where_the_benchmark_does_so():
    answer = "It lists.\n\n```bash\nls -la\n```"
    assert scorer_for(row(answer), commands=True) == ("command", "ls -la")
    assert scorer_for(row(answer), commands=False) == ("token_f1", answer)


def test_an_answer_without_a_block_is_judged_by_its_words():
    assert scorer_for(row("ls -la"), commands=True) == ("token_f1", "ls -la")


def test_a_warning_is_judged_by_its_words_since_the_command_is_not_all_of_it():
    answer = "Warning: all is lost.\n\n```bash\nrm -rf x\n```"
    assert scorer_for(row(answer, kind="warn"), commands=True)[0] == "token_f1"


def test_questions_are_taken_evenly_over_the_training_split_as_often_as_there_are_samples(finished, tmp_path):
    _, out = finished
    dataset = Artifact.open(out / "dataset")
    file = write_questions(dataset, False, Sampling(4, 3), tmp_path / "questions.jsonl")
    ids = [item.id for item in read_jsonl(file, BenchmarkRow)]
    train = [r.id for r in read_jsonl(dataset.file("train.jsonl"), ConversationRow)]
    chosen = [train[at * len(train) // 4] for at in range(4)]
    assert ids == [f"{key}#{copy}" for key in chosen for copy in (1, 2, 3)]


def test_a_right_and_a_wrong_sample_make_a_pair_of_the_models_own_answers(tmp_path):
    samples, dataset = make_samples(tmp_path, {"a": ["cat a", "cat b"], "b": ["no", "cat b"]})
    found = rows_of(seal_pairs(samples, dataset, tmp_path / "out"))
    assert {(r.chosen[0].content, r.rejected[0].content) for r in found} == {
        ("cat a", "cat b"),
        ("cat b", "no"),
    }
    assert all(r.extra["on_policy"] is True for r in found)


def test_where_every_sample_is_wrong_the_training_answer_is_chosen_and_marked(tmp_path):
    samples, dataset = make_samples(tmp_path, {"a": ["cat x", "cat y"], "b": ["cat b", "nothing"]})
    preferences = seal_pairs(samples, dataset, tmp_path / "out")
    marks = {r.chosen[0].content: r.extra["on_policy"] for r in rows_of(preferences)}
    assert marks == {"cat a": False, "cat b": True}
    assert preferences.manifest.metrics["on_policy"] == 0.5
    assert "in 50% the chosen answer is the model's own" in in_words(preferences)


def test_a_question_that_is_always_answered_right_makes_no_pair(tmp_path):
    samples, dataset = make_samples(tmp_path, {"a": ["cat a", "CAT A"], "b": ["cat b", "nothing"]})
    assert len(rows_of(seal_pairs(samples, dataset, tmp_path / "out"))) == 1


def test_pairs_descend_from_the_samples_and_the_dataset(tmp_path):
    samples, dataset = make_samples(tmp_path, {"a": ["cat a", "no"]})
    parents = seal_pairs(samples, dataset, tmp_path / "out").manifest.parents
    assert [parent.digest for parent in parents] == [samples.digest, dataset.digest]


def test_pairs_of_the_same_samples_are_made_once(tmp_path):
    samples, dataset = make_samples(tmp_path, {"a": ["cat a", "no"]})
    seal_pairs(samples, dataset, tmp_path / "out")
    before = stamps(tmp_path)
    seal_pairs(samples, dataset, tmp_path / "out")
    assert stamps(tmp_path) == before


@pytest.fixture
def by_transformers(monkeypatch):
    """As on a machine without llama.cpp."""
    monkeypatch.setattr(full_pairs, "has_llama_cpp", lambda: False)


def sampled(tunedassist, finished, out, *options):
    domain, run = finished
    code, shown, told = tunedassist(
        *("pairs", domain, "--adapter", run / "adapter", "--dataset", run / "dataset", "--out", out),
        *options,
    )
    assert code == 0, told
    return shown


def test_the_command_samples_scores_and_makes_pairs(tunedassist, finished, tmp_path, by_transformers):
    options = ("--prompts", 4, "--samples", 2)
    found = json.loads(sampled(tunedassist, finished, tmp_path, *options, "--json"))
    assert found["pairs"] == 4
    samples = Artifact.open(tmp_path / "samples", kind="predictions")
    assert samples.manifest.parents[0].digest == Artifact.open(finished[1] / "adapter").digest
    assert samples.manifest.metrics["items"] == 8
    before = stamps(tmp_path)
    shown = sampled(tunedassist, finished, tmp_path, *options)
    assert stamps(tmp_path) == before
    assert shown.splitlines()[-1] == str(tmp_path / "preferences")


@pytest.mark.parametrize("option", [("--seed", 5), ("--temperature", 0.2)])
def test_seed_and_temperature_change_what_is_drawn(tunedassist, finished, tmp_path, by_transformers, option):
    texts = []
    for place, given in (("one", ()), ("other", option)):
        sampled(tunedassist, finished, tmp_path / place, "--prompts", 3, "--samples", 2, *given)
        file = tmp_path / place / "samples" / "predictions.jsonl"
        texts.append([answer.output for answer in read_jsonl(file, PredictionRow)])
    assert texts[0] != texts[1]


def test_another_sampling_in_the_same_place_is_refused_unless_forced(
    tunedassist, finished, tmp_path, by_transformers
):
    domain, run = finished
    sampled(tunedassist, finished, tmp_path, "--prompts", 2, "--samples", 2)
    other = ("pairs", domain, "--adapter", run / "adapter", "--dataset", run / "dataset", "--out", tmp_path)
    code, _, told = tunedassist(*other, "--prompts", 3, "--samples", 2)
    assert code == 4
    assert "--force" in told
    assert tunedassist(*other, "--prompts", 3, "--samples", 2, "--force")[0] == 0


def test_the_policy_is_the_adapter_as_gguf_where_llama_cpp_is_installed(tunedassist, finished, tmp_path):
    pytest.importorskip("llama_cpp", reason="needs ta-serve[llama-cpp]")
    sampled(tunedassist, finished, tmp_path, "--prompts", 2, "--samples", 2)
    policy = Artifact.open(tmp_path / "policy", kind="gguf")
    assert policy.manifest.parents[0].digest == Artifact.open(finished[1] / "adapter").digest
    target = Artifact.open(tmp_path / "samples").manifest.config["target"]
    assert target["sampled_as"] == "gguf"
