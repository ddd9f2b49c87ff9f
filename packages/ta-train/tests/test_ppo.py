"""PPO: its arithmetic against hand-made references, and real runs on a random two-layer model."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rl_fixtures import (
    FIXED,
    adapter_digest,
    crash_at,
    interrupt_at,
    lines,
    lower_case,
    make_lively_model,
    steps,
)
from typer.testing import CliRunner

from ta_schemas import Artifact, ArtifactError, InputError, SetupError, read_jsonl
from ta_schemas.errors import Stopped
from ta_schemas.rows import ConversationRow
from ta_train.config import SftConfig
from ta_train.models.base_model import resolve
from ta_train.rl.config import PpoConfig
from ta_train.rl.ppo import ppo
from ta_train.sft import sft


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lively_model(tmp_path_factory.mktemp("model") / "lively")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, lively: Path, dataset: Path) -> Path:
    """A short supervised run to go on from."""
    config = SftConfig(
        base_model=str(lively),
        lora_rank=3,
        lora_alpha=12,
        target_modules=["q_proj", "up_proj"],
        learning_rate=1e-2,
        batch_size=4,
        max_steps=4,
        eval_points=1,
        dtype="float32",
        threads=1,
        max_tokens=33,
        temperature=0.4,
    )
    return sft(config, dataset, tmp_path_factory.mktemp("sft") / "adapter").path


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


# ── arithmetic ───────────────────────────────────────────────────────────────


def random_answers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 7, size=5)
    mask = (np.arange(6) < lengths[:, None]).astype(float)
    return rng.normal(size=(5, 6)) * mask, rng.normal(size=(5, 6)), mask


@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 0.95), (0.9, 0.5), (1.0, 0.0), (0.99, 1.0)])
def test_advantages_are_the_discounted_sum_of_surprises(gamma: float, gae_lambda: float) -> None:
    import torch

    from ta_train.rl.ppo_loss import advantages

    rewards, values, mask = random_answers()
    found = advantages(
        torch.tensor(rewards), torch.tensor(values), torch.tensor(mask), gamma=gamma, gae_lambda=gae_lambda
    )
    expected = np.zeros_like(rewards)
    for row in range(len(rewards)):
        length = int(mask[row].sum())
        following = [*values[row, 1:length], 0.0]
        surprises = [rewards[row, t] + gamma * following[t] - values[row, t] for t in range(length)]
        for t in range(length):
            expected[row, t] = sum(
                (gamma * gae_lambda) ** (later - t) * surprises[later] for later in range(t, length)
            )
    assert found.numpy() == pytest.approx(expected)


def test_the_score_is_earned_by_the_last_token_and_the_divergence_is_paid_by_each() -> None:
    import torch

    from ta_train.rl.ppo_loss import token_rewards

    found = token_rewards(
        torch.tensor([5.0, -1.0]),
        torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -9.0, -9.0]]),
        torch.tensor([[-2.0, -2.0, -1.0], [-1.5, 0.0, 0.0]]),
        torch.tensor([[1, 1, 1], [1, 0, 0]]),
        kl_coefficient=0.1,
    )
    assert found.tolist() == [pytest.approx([-0.1, 0.0, 0.2 + 5]), pytest.approx([-0.05 - 1, 0.0, 0.0])]


def test_whitened_advantages_have_mean_0_and_variance_1_over_the_real_tokens() -> None:
    import torch

    from ta_train.rl.ppo_loss import whiten

    _, values, mask = random_answers()
    found = whiten(torch.tensor(values), torch.tensor(mask)).numpy()
    real = found[mask == 1]
    assert (real.mean(), real.var()) == (pytest.approx(0, abs=1e-7), pytest.approx(1, rel=1e-4))
    assert not found[mask == 0].any()


def test_the_policy_loss_stops_rewarding_a_move_beyond_the_clip() -> None:
    import torch

    from ta_train.rl.ppo_loss import policy_loss

    new = torch.log(torch.tensor([[1.5, 1.1, 0.5, 1.5, 7.0]])).requires_grad_()
    gains = torch.tensor([[1.0, 1.0, -1.0, -1.0, 9.0]])
    mask = torch.tensor([[1, 1, 1, 1, 0]])
    found = policy_loss(new, torch.zeros(1, 5), gains, mask, clip=0.2)
    # Ratios 1.5, 1.1, 0.5, 1.5: the first and the third have moved far enough in their own direction.
    assert found.loss.item() == pytest.approx((-1.2 - 1.1 + 0.8 + 1.5) / 4, abs=1e-6)
    assert found.share.item() == pytest.approx(2 / 4)
    found.loss.backward()
    assert new.grad is not None
    assert [value != 0 for value in new.grad[0].tolist()] == [False, True, False, True, False]


def test_the_value_loss_counts_the_worse_of_the_free_and_the_clipped_value() -> None:
    import torch

    from ta_train.rl.ppo_loss import value_loss

    found = value_loss(
        torch.tensor([[2.0, 0.1, 9.0]]),
        torch.tensor([[0.0, 0.0, 0.0]]),
        torch.tensor([[2.0, 1.0, 0.0]]),
        torch.tensor([[1, 1, 0]]),
        clip=0.2,
    )
    assert found.loss.item() == pytest.approx(0.5 * (1.8**2 + 0.9**2) / 2)
    assert found.share.item() == pytest.approx(1 / 2)


# ── answers ──────────────────────────────────────────────────────────────────


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


# ── the loop ─────────────────────────────────────────────────────────────────


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


# ── the run ──────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def unbroken(lively: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    out = tmp_path_factory.mktemp("unbroken") / "out"
    return ppo(interruptible(lively), dataset, out, reward=lower_case)


def interruptible(lively: Path) -> PpoConfig:
    return fixed(lively, max_steps=5, epochs=4, save_every=2, eval_points=5)


def test_after_ctrl_c_a_run_goes_on_to_the_same_result(
    unbroken: Artifact, lively: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        with pytest.raises(Stopped, match="stopped at step 3 with a checkpoint"):
            ppo(interruptible(lively), dataset, out, reward=lower_case)
    resumed = ppo(interruptible(lively), dataset, out, reward=lower_case, resume=True)
    assert resumed.digest == unbroken.digest
    assert steps(resumed, "reward") == steps(unbroken, "reward")
    assert steps(resumed, "tokens") == steps(unbroken, "tokens")
    before, after = "validation_reward_before", "validation_reward"
    assert resumed.manifest.metrics[before] == unbroken.manifest.metrics[before]
    assert resumed.manifest.metrics[after] == unbroken.manifest.metrics[after]
    assert not (tmp_path / "out.work").exists()


def test_a_crashed_run_goes_on_from_its_last_checkpoint(
    unbroken: Artifact, lively: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        crash_at(patch, 5)
        with pytest.raises(RuntimeError, match="crash"):
            ppo(interruptible(lively), dataset, out, reward=lower_case)
    assert sorted(f.name for f in (tmp_path / "out.work").glob("checkpoint-*")) == [
        "checkpoint-2",
        "checkpoint-4",
    ]
    assert ppo(interruptible(lively), dataset, out, reward=lower_case, resume=True).digest == unbroken.digest


def test_a_sealed_result_is_returned_at_once_unless_the_reward_is_another(
    unbroken: Artifact, lively: Path, dataset: Path
) -> None:
    def another(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        return [0.0] * len(answers)

    again = ppo(interruptible(lively), dataset, unbroken.path, reward=lower_case)
    assert again.manifest.created_at == unbroken.manifest.created_at
    assert again.manifest.config["reward"] == "rl_fixtures:lower_case"
    with pytest.raises(ArtifactError, match="--force"):
        ppo(interruptible(lively), dataset, unbroken.path, reward=another)


def test_an_adapter_goes_on_and_brings_its_prompt_and_defaults(
    lively: Path, adapter: Path, dataset: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from ta_train.models.load import load_tokenizer
    from ta_train.rl.prompts import read_prompts
    from ta_train.rl.rollout import mean_reward

    config = fixed(lively)
    trained = ppo(config, dataset, tmp_path / "out", reward=lower_case, adapter=adapter)
    tokenizer = load_tokenizer(resolve(str(lively)))
    prompts = read_prompts(config, Artifact.open(dataset), tokenizer)
    start = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(lively), str(adapter))
    began = mean_reward(start, tokenizer, prompts.validation, lower_case, max_tokens=4, batch_size=4)
    assert trained.manifest.metrics["validation_reward_before"] == pytest.approx(began)

    settings = json.loads((trained.path / "settings.json").read_text())
    assert settings["system_prompt"] == "Answer with a command."
    assert settings["generation"] == {"max_tokens": 33, "temperature": 0.4, "stop": ["<|im_end|>"]}
    lora = json.loads((trained.path / "adapter_config.json").read_text())
    assert (lora["r"], sorted(lora["target_modules"])) == (3, ["q_proj", "up_proj"])
    assert trained.manifest.config["ppo"]["lora_rank"] == 3
    kinds = [(parent.kind, parent.digest) for parent in trained.manifest.parents]
    assert kinds[:2] == [("dataset", Artifact.open(dataset).digest), ("adapter", Artifact.open(adapter).digest)]
    assert not (trained.path / "ref").exists()


def test_an_adapter_of_another_base_model_is_refused(
    base_model: Path, adapter: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="lively"):
        ppo(fixed(base_model), dataset, tmp_path / "out", reward=lower_case, adapter=adapter)


@pytest.mark.parametrize(
    ("given", "message"),
    [([1.0], "1 rewards for 2 answers: give one each"), ([1.0, math.nan], "must be a finite number")],
    ids=str,
)
def test_a_reward_that_is_no_number_an_answer_is_refused(
    given: list[float], message: str, lively: Path, dataset: Path, tmp_path: Path
) -> None:
    def broken(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
        return given

    with pytest.raises(InputError, match=f"broken.*{message}"):
        ppo(fixed(lively), dataset, tmp_path / "out", reward=broken)


def test_trained_biases_are_refused(lively: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bias: all: ppo needs an adapter without trained biases"):
        ppo(fixed(lively, bias="all"), dataset, tmp_path / "out", reward=lower_case)


def test_several_processes_are_refused(
    lively: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(SetupError, match="one process"):
        ppo(fixed(lively), dataset, tmp_path / "out", reward=lower_case)


# ── the command line ─────────────────────────────────────────────────────────


def test_the_command_names_a_function_as_its_reward(lively: Path, dataset: Path, tmp_path: Path) -> None:
    from ta_train.cli import app

    settings = {**FIXED, "base_model": str(lively), "rollout_size": 4}
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, ["ppo", str(dataset), "--out", str(out), "--reward", "rl_fixtures:lower_case", *given]
    )
    assert result.exit_code == 0, result.output
    assert "validation reward" in result.output
    assert Artifact.open(out).manifest.config["reward"] == "rl_fixtures:lower_case"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no such folder; for a function of yours write module:function"),
        ("no_such_module:f", "No module named"),
        ("rl_fixtures:no_such", "no_such"),
        ("rl_fixtures:FIXED", "is no function"),
    ],
)
def test_a_reward_that_is_not_there_is_refused(name: str, message: str) -> None:
    from ta_train.rl.cli import find_reward

    with pytest.raises(InputError, match=message):
        find_reward(name)


def test_a_module_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ta_train.rl.cli import find_reward

    (tmp_path / "my_rewards_here.py").write_text("def one(prompts, answers, references):\n    return [1.0]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [])
    assert find_reward("my_rewards_here:one")([], ["a"], ["b"]) == [1.0]


@pytest.mark.slow
def test_the_embedded_model_takes_real_steps(dataset: Path, tmp_path: Path) -> None:
    from ta_train.recipe import load_recipe

    small = ["max_steps=2", "rollout_size=8", "sample_tokens=16", "eval_rows=2", "eval_points=1", "threads=1"]
    config = load_recipe("cpu-smollm2-ppo", PpoConfig, small)
    trained = ppo(config, dataset, tmp_path / "out", reward=lower_case)
    first, second = (line for line in lines(trained) if "loss" in line)
    assert (first["kl"], first["step"]) == (pytest.approx(0, abs=1e-4), 1)
    assert second["kl"] != 0
    assert all(math.isfinite(line["loss"]) for line in (first, second))
