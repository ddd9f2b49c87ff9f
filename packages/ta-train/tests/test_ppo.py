"""The loop of PPO on a random two-layer model."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rl_fixtures import (
    FIXED,
    adapter_digest,
    lower_case,
    steps,
)

from ta_schemas import Artifact, InputError, read_jsonl
from ta_schemas.rows import ConversationRow
from ta_train.models.base_model import resolve
from ta_train.rl.config import PpoConfig
from ta_train.rl.ppo import ppo


def fixed(lively: Path, **changes: Any) -> PpoConfig:
    return PpoConfig(**{**FIXED, "base_model": str(lively), "rollout_size": 8, "passes": 2, **changes})


def make_trainer(lively: Path, dataset: Path, work: Path, reward: Any = lower_case, **changes: Any) -> Any:
    """The trainer alone, without a run around it."""
    from ta_train.models.load import load_tokenizer
    from ta_train.rl.ppo_trainer import PpoTrainer
    from ta_train.rl.prompts import read_prompts
    from ta_train.run_log import RunLog
    from ta_train.start import start_from
    from ta_train.work import WorkFolder

    config, base = fixed(lively, **changes), resolve(str(lively))
    tokenizer = load_tokenizer(base)
    prompts = read_prompts(config, Artifact.open(dataset), tokenizer)
    model = start_from(None, config, base).load(base)
    work.mkdir(exist_ok=True)
    log = RunLog(work / "metrics.jsonl", Console(quiet=True))
    return PpoTrainer(config, model, tokenizer, prompts, reward, WorkFolder(work), log)


def test_an_answer_ends_with_its_stop_token() -> None:
    import torch

    from ta_train.rl.prompts import Prompt
    from ta_train.rl.rollout import answer

    class Scripted(torch.nn.Module):
        device = torch.device("cpu")

        def generate(self, input_ids: Any, **_: Any) -> Any:
            return torch.cat([input_ids, torch.tensor([[7, 1, 1], [7, 7, 7]])], dim=1)

    class Words:
        pad_token_id, eos_token_id, bos_token_id = 2, 1, None

        def decode(self, tokens: Any, skip_special_tokens: bool) -> str:
            assert skip_special_tokens
            return " ".join(str(int(token)) for token in tokens)

    prompts = [Prompt([], "", [5]), Prompt([], "", [5, 6])]
    found = answer(Scripted(), Words(), prompts, max_tokens=3, temperature=1.0)
    assert found.input_ids.tolist() == [[2, 5, 7, 1, 1], [5, 6, 7, 7, 7]]
    assert found.attention_mask.tolist() == [[0, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert found.mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert found.stopped == [True, False]
    assert found.texts == ["7 1", "7 7 7"]


def test_probabilities_of_an_answer_do_not_depend_on_its_padding(
    lively: Path, dataset: Path, tmp_path: Path
) -> None:
    import torch

    trainer = make_trainer(lively, dataset, tmp_path / "work", sample_temperature=0.7)
    answers = trainer.roll_out().answers
    with torch.no_grad():
        together = trainer.in_batches(answers)
        for row in range(len(answers.texts)):
            ids = answers.input_ids[row][answers.attention_mask[row].bool()]
            count = int(answers.mask[row].sum())
            logits = trainer.model(input_ids=ids[None]).logits[0, -count - 1 : -1] / 0.7
            alone = torch.log_softmax(logits, dim=-1)
            picked = alone.gather(1, ids[-count:, None])[:, 0]
            assert together.logprobs[row, :count].numpy() == pytest.approx(picked.numpy(), abs=1e-4)
            entropy = -(alone.exp() * alone).sum(-1)
            assert together.entropy[row, :count].numpy() == pytest.approx(entropy.numpy(), abs=1e-4)


def test_prompts_are_the_conversations_up_to_their_last_answer(
    lively: Path, dataset: Path, tmp_path: Path
) -> None:
    from ta_train.models.load import load_tokenizer
    from ta_train.rl.prompts import read_prompts

    tokenizer = load_tokenizer(resolve(str(lively)))
    prompts = read_prompts(fixed(lively, eval_rows=2), Artifact.open(dataset), tokenizer)
    rows = list(read_jsonl(dataset / "train.jsonl", ConversationRow))
    first = prompts.train[0]
    assert [m["content"] for m in first.messages] == [m.content for m in rows[0].messages[:-1]]
    assert first.reference == rows[0].messages[-1].content
    assert tokenizer.decode(first.input_ids).endswith("<|im_start|>assistant\n")
    assert (len(prompts.train), len(prompts.validation)) == (len(rows), 2)


def test_an_epoch_answers_every_prompt_once_and_steps_are_full(lively: Path) -> None:
    from ta_train.rl.prompts import Prompt, training_prompts

    prompts = [Prompt([], "", [i]) for i in range(10)]

    def walk(**changes: Any) -> list[int]:
        config = fixed(lively, max_steps=0, **changes)
        return [prompt.input_ids[0] for prompt in training_prompts(config, prompts, per_step=4)]

    assert len(walk()) == 8
    assert sorted(walk(epochs=2)[:10]) == list(range(10))
    assert len(walk(epochs=2)) == 20
    assert len(walk(epochs=0.1)) == 4
    assert walk(seed=1) != walk(seed=2)


def test_a_prompt_too_long_for_its_answer_is_refused(lively: Path, dataset: Path, tmp_path: Path) -> None:
    config = fixed(lively, max_length=64, sample_tokens=60)
    with pytest.raises(InputError, match=r"tools.md:1: a prompt of \d+ tokens .* exceed max_length 64"):
        ppo(config, dataset, tmp_path / "out", reward=lower_case)
    assert list(tmp_path.iterdir()) == []


def test_the_reward_really_rises(lively: Path, dataset: Path, tmp_path: Path) -> None:
    config = fixed(
        lively,
        learning_rate=3e-2,
        batch_size=16,
        rollout_size=32,
        passes=4,
        epochs=20,
        max_steps=14,
        eval_rows=3,
        missing_stop_penalty=0,
        kl_coefficient=0,
    )
    trained = ppo(config, dataset, tmp_path / "out", reward=lower_case)
    rewards = steps(trained, "reward")
    assert sum(rewards[-5:]) / 5 > sum(rewards[:3]) / 3 + 0.1
    metrics = trained.manifest.metrics
    assert metrics["validation_reward"] > metrics["validation_reward_before"] + 0.2
    assert metrics["training_reward"] == pytest.approx(sum(rewards[-10:]) / 10)


def test_training_begins_at_the_reference_which_stays_where_it_is(
    lively: Path, dataset: Path, tmp_path: Path
) -> None:
    trainer = make_trainer(lively, dataset, tmp_path / "work", max_steps=3)

    def weights(adapter: str) -> dict[str, Any]:
        found = trainer.model.named_parameters()
        return {n.replace(adapter, "x"): p.detach().clone() for n, p in found if f".{adapter}." in n}

    before = weights("ref")
    assert all(bool((before[name] == value).all()) for name, value in weights("default").items())
    trainer.train()
    assert all(bool((before[name] == value).all()) for name, value in weights("ref").items())
    assert any(bool((before[name] != value).any()) for name, value in weights("default").items())
    kl = [json.loads(line).get("kl") for line in (tmp_path / "work" / "metrics.jsonl").read_text().splitlines()]
    assert kl[1] == 0.0
    assert kl[2] != 0.0


def test_a_policy_that_has_moved_pays_for_every_token_it_says_more_gladly_than_its_start(
    lively: Path, dataset: Path, tmp_path: Path
) -> None:
    import torch
    from trl.trainer.utils import use_adapter

    def nothing(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        return [0.0] * len(answers)

    trainer = make_trainer(
        lively, dataset, tmp_path / "work", nothing, kl_coefficient=0.5, missing_stop_penalty=0, gae_lambda=1
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            if "lora_B.default" in name:
                parameter += 0.1 * torch.randn_like(parameter)
        rollout = trainer.roll_out()
        with use_adapter(trainer.model, "ref"):
            start = trainer.in_batches(rollout.answers).logprobs
    moved = (rollout.logprobs - start) * rollout.answers.mask
    # Values are 0 before the first update, so what a token returns is what it and its successors pay.
    expected = -0.5 * moved.flip(1).cumsum(1).flip(1) * rollout.answers.mask
    assert rollout.returns.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert rollout.numbers["kl"] == pytest.approx(float(moved.sum() / rollout.answers.mask.sum()))
    assert rollout.numbers["kl"] > 0.1


@pytest.fixture(scope="module")
def unchanged(lively: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    trainer = make_trainer(lively, dataset, tmp_path_factory.mktemp("unchanged") / "work")
    trainer.train()
    return adapter_digest(trainer.model)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 8},
        {"gradient_accumulation": 2},
        {"rollout_size": 12},
        {"passes": 1},
        {"max_steps": 1},
        {"epochs": 0.3},
        {"kl_coefficient": 3.0},
        {"clip": 1e-4},
        {"value_clip": 1e-4},
        {"value_coefficient": 2.0},
        {"gamma": 0.5},
        {"gae_lambda": 0.2},
        {"missing_stop_penalty": 3.0},
        {"sample_tokens": 3},
        {"sample_temperature": 0.5},
        {"learning_rate": 1e-3},
        {"schedule": "linear"},
        {"warmup": 0.9},
        {"weight_decay": 0.5},
        {"max_grad_norm": 0.01},
        {"seed": 7},
        {"dtype": "bfloat16"},
        {"lora_rank": 2},
        {"lora_alpha": 7},
    ],
    ids=str,
)
def test_every_option_changes_the_trained_weights(
    change: dict[str, Any], unchanged: str, lively: Path, dataset: Path, tmp_path: Path
) -> None:
    trainer = make_trainer(lively, dataset, tmp_path / "work", **change)
    trainer.train()
    assert adapter_digest(trainer.model) != unchanged


def test_accumulated_batches_are_one_batch(lively: Path, dataset: Path, tmp_path: Path) -> None:
    def losses(**changes: Any) -> list[float]:
        place = tmp_path / str(changes)
        make_trainer(lively, dataset, place, **changes).train()
        found = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
        return [line["loss"] for line in found if "loss" in line]

    once = losses(batch_size=8)
    assert losses(batch_size=4, gradient_accumulation=2) == pytest.approx(once, abs=1e-4)


def test_gradient_checkpointing_gives_the_same_losses(lively: Path, dataset: Path, tmp_path: Path) -> None:
    def losses(*, checkpointing: bool) -> list[float]:
        place = tmp_path / str(checkpointing)
        trainer = make_trainer(lively, dataset, place, gradient_checkpointing=checkpointing)
        assert trainer.model.is_gradient_checkpointing is checkpointing
        trainer.train()
        found = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
        return [line["loss"] for line in found if "loss" in line]

    assert losses(checkpointing=True) == pytest.approx(losses(checkpointing=False), abs=1e-4)


def test_eval_points_eval_rows_and_save_every_decide_when_and_on_what(
    lively: Path, dataset: Path, tmp_path: Path
) -> None:
    asked: list[int] = []

    def counting(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        asked.append(len(answers))
        return lower_case(prompts, answers, references)

    place = tmp_path / "work"
    trainer = make_trainer(
        lively, dataset, place, counting, max_steps=4, epochs=4, eval_points=2, eval_rows=3, save_every=3
    )
    trainer.train()
    found = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in found if "validation_reward" in line] == [0, 2, 4]
    assert asked == [3, 8, 8, 3, 8, 8, 3]
    assert [folder.name for folder in place.glob("checkpoint-*")] == ["checkpoint-3"]


def test_threads_are_set(lively: Path, dataset: Path, tmp_path: Path) -> None:
    import torch

    make_trainer(lively, dataset, tmp_path / "work", threads=2)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rollout_size": 6}, "rollout_size 6: must be a multiple of batch_size"),
        ({"lora_dropout": 0.1}, "lora_dropout"),
    ],
    ids=str,
)
def test_what_cannot_train_is_refused(change: dict[str, Any], message: str, lively: Path) -> None:
    with pytest.raises(ValueError, match=message):
        fixed(lively, **change)
