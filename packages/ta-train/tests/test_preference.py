"""Real preference runs of a few steps on a random two-layer model, beside TRL's trainers."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from preference_fixtures import preference, preference_rows, seal_preferences
from typer.testing import CliRunner

from ta_schemas import Artifact, ArtifactError, ArtifactWriter, InputError
from ta_schemas.rows import Message, PreferenceRow
from ta_train.config import SftConfig
from ta_train.preference.config import DpoConfig, KtoConfig, OrpoConfig, PreferenceConfig
from ta_train.preference.preference import dpo, kto, orpo
from ta_train.recipe import load_recipe
from ta_train.sft import sft

VERBS = {"dpo": dpo, "orpo": orpo, "kto": kto}


@pytest.fixture(scope="module")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal_preferences(tmp_path_factory.mktemp("data") / "preferences", preference_rows())


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, base_model: Path, dataset: Path) -> Path:
    """A short supervised run to start from."""
    config = SftConfig(
        base_model=str(base_model),
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
    )
    return sft(config, dataset, tmp_path_factory.mktemp("sft") / "adapter").path


def fixed(base_model: Path, method: type[PreferenceConfig] = DpoConfig, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "base_model": str(base_model),
        "learning_rate": 1e-2,
        "batch_size": 2,
        "max_steps": 6,
        "eval_points": 3,
        "eval_rows": 3,
        "save_every": 2,
        "dtype": "float32",
        "threads": 1,
    }
    return method(**{**values, **changes})


def lines(artifact: Artifact) -> list[dict[str, Any]]:
    text = (artifact.path / "logs" / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def steps(artifact: Artifact, key: str = "loss") -> list[float]:
    return [line[key] for line in lines(artifact) if "loss" in line]


@pytest.fixture(scope="module")
def reference(
    tmp_path_factory: pytest.TempPathFactory, base_model: Path, preferences: Path, adapter: Path
) -> Artifact:
    """DPO with the unchanged configuration, trained once."""
    return dpo(
        fixed(base_model), preferences, tmp_path_factory.mktemp("reference") / "adapter", adapter=adapter
    )


@pytest.mark.parametrize("method", [DpoConfig, OrpoConfig, KtoConfig])
def test_every_method_widens_the_margin_of_held_out_pairs(
    method: type[PreferenceConfig], base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    config = fixed(base_model, method, epochs=2, max_steps=0)
    tuned = VERBS[config.method](config, preferences, tmp_path / "adapter", adapter=adapter)
    metrics = tuned.manifest.metrics
    assert metrics["reward_margin"] > metrics["reward_margin_before"]
    assert metrics["validation_loss"] < metrics["validation_loss_before"]
    assert metrics["reward_accuracy"] == 1.0
    assert metrics["steps"] == 18
    assert metrics["fit"]


def test_the_result_carries_on_what_the_adapter_brought(
    reference: Artifact, base_model: Path, preferences: Path, adapter: Path
) -> None:
    parents = [(parent.kind, parent.digest) for parent in reference.manifest.parents]
    start = Artifact.open(adapter)
    assert parents[:2] == [("preferences", Artifact.open(preferences).digest), ("adapter", start.digest)]
    assert parents[2] == ("model", start.manifest.parents[1].digest)
    settings = json.loads((reference.path / "settings.json").read_text())
    assert settings["system_prompt"] == "Answer with a command."
    assert settings["generation"]["max_tokens"] == 33
    resolved = reference.manifest.config["dpo"]
    assert (resolved["lora_rank"], resolved["lora_alpha"]) == (3, 12)
    assert sorted(resolved["target_modules"]) == ["q_proj", "up_proj"]


def test_a_generation_default_of_the_recipe_wins(
    base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    tuned = dpo(
        fixed(base_model, max_steps=1, max_tokens=9), preferences, tmp_path / "adapter", adapter=adapter
    )
    assert json.loads((tuned.path / "settings.json").read_text())["generation"]["max_tokens"] == 9


def test_the_result_is_an_ordinary_peft_adapter(reference: Artifact, base_model: Path, adapter: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    assert not [path for path in reference.path.iterdir() if path.is_dir() and path.name != "logs"]
    ids = torch.arange(5, 25)[None]
    logits = []
    for folder in (adapter, reference.path):
        model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
        logits.append(PeftModel.from_pretrained(model, str(folder))(input_ids=ids).logits)
    assert not torch.allclose(*logits, atol=1e-3)


def test_before_the_first_step_the_model_is_its_own_reference(reference: Artifact) -> None:
    first, *_ = lines(reference)
    assert (first["step"], first["validation_reward_margin"], first["validation_reward_accuracy"]) == (
        0,
        0,
        0.5,
    )
    assert steps(reference)[0] == pytest.approx(math.log(2), rel=1e-6)


def test_without_an_adapter_the_reference_is_the_base_model(
    base_model: Path, preferences: Path, tmp_path: Path
) -> None:
    tuned = dpo(fixed(base_model, lora_rank=2), preferences, tmp_path / "adapter")
    assert [parent.kind for parent in tuned.manifest.parents] == ["preferences", "model"]
    assert steps(tuned)[0] == pytest.approx(math.log(2), rel=1e-6)
    assert json.loads((tuned.path / "settings.json").read_text())["system_prompt"] == "Mine."


def trl_trainer(
    kind: Any, config: PreferenceConfig, work: Path, adapter: Path, rows: Any, **arguments: Any
) -> Any:
    """TRL's trainer over rows that are tokenized already, with its own frozen reference adapter."""
    import torch
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ta_train.arguments import training_arguments

    class Tokenized(kind):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    model = AutoModelForCausalLM.from_pretrained(config.base_model, dtype=torch.float32)
    common = training_arguments(config, work, steps=6, fresh=False)
    common |= {"eval_strategy": "no", "save_strategy": "no"}
    args = {
        **common,
        "beta": config.beta,
        "max_length": None,
        "train_sampling_strategy": "sequential",
        **arguments,
    }
    return Tokenized(
        model=PeftModel.from_pretrained(model, str(adapter), is_trainable=True),
        args=kind_config(kind)(**args),
        processing_class=AutoTokenizer.from_pretrained(config.base_model),
        train_dataset=Dataset.from_list(rows),
    )


def kind_config(kind: Any) -> Any:
    import trl

    return getattr(trl, kind.__name__.replace("Trainer", "Config"))


def our_rows(config: PreferenceConfig, preferences: Path) -> list[dict[str, Any]]:
    """The batches of our own run, before the reference is measured."""
    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_tokenizer
    from ta_train.order import training_order
    from ta_train.preference.rows import read_preferences, render_pairs
    from ta_train.preference.trainer import with_mismatched

    tokenizer = load_tokenizer(resolve(config.base_model))
    pairs = render_pairs(read_preferences(preferences / "train.jsonl"), tokenizer, max_length=config.max_length)
    order = training_order(
        [pair.longer for pair in pairs],
        order="shuffle",
        epochs=1,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    rows = [{"pair": (pair.chosen, pair.rejected)} for pair in pairs]
    rows = with_mismatched(rows) if config.method == "kto" else rows
    return [rows[i] for i in order[: 6 * config.batch_size]]


def split(side: Any) -> tuple[list[int], list[int]]:
    cut = side.labels.count(-100)
    return side.input_ids[:cut], side.input_ids[cut:]


@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "hinge"])
def test_losses_margins_and_accuracies_are_those_of_trl(
    loss: str, base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    from trl import DPOTrainer

    config = fixed(base_model, loss=loss, beta=0.5, warmup=0)
    ours = dpo(config, preferences, tmp_path / "adapter", adapter=adapter)
    rows = []
    for row in our_rows(config, preferences):
        (prompt, chosen), (_, rejected) = map(split, row["pair"])
        rows.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    trainer = trl_trainer(DPOTrainer, config, tmp_path, adapter, rows, loss_type=[loss])
    trainer.train()
    for theirs, key in (("loss", "loss"), ("rewards/margins", "reward_margin")):
        expected = [log[theirs] for log in trainer.state.log_history if "loss" in log]
        assert steps(ours, key) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    accuracies = [log["rewards/accuracies"] for log in trainer.state.log_history if "loss" in log]
    assert steps(ours, "reward_accuracy")[1:] == accuracies[1:]  # at a tie TRL says 0, we say a half


def test_the_kto_loss_is_that_of_trl(base_model: Path, adapter: Path, tmp_path: Path) -> None:
    from trl import KTOTrainer

    unequal = preference_rows()
    for row in unequal:  # long answers gain more than short ones lose: the divergence is not 0
        row.rejected = [Message(role="assistant", content="No" + row.id[-1])]
    preferences = seal_preferences(tmp_path / "preferences", unequal)
    config = fixed(base_model, KtoConfig, beta=0.5, warmup=0)
    ours = kto(config, preferences, tmp_path / "adapter", adapter=adapter)
    rows = []
    laid_out = our_rows(config, preferences)
    for start in range(0, len(laid_out), 2):
        for side in (0, 1):
            for row in laid_out[start : start + 2]:
                prompt, answer = split(row["pair"][side])
                _, mismatched = split(row["mismatched"][side])
                rows.append(
                    {
                        "prompt_ids": prompt,
                        "completion_ids": answer,
                        "KL_completion_ids": mismatched,
                        "label": side == 0,
                    }
                )
    trainer = trl_trainer(KTOTrainer, config, tmp_path, adapter, rows, per_device_train_batch_size=4)
    trainer.train()
    expected = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert steps(ours) == pytest.approx(expected, rel=1e-4)
    assert any(log.get("kl", 0) > 0 for log in trainer.state.log_history)


def test_kto_takes_its_mismatched_answers_from_another_prompt(base_model: Path, tmp_path: Path) -> None:
    same = [preference("ls", 0) for _ in range(3)] + [preference("cp", 0)]
    config = fixed(base_model, KtoConfig)
    for row in our_rows(config, seal_preferences(tmp_path / "four", same)):
        (prompt, answer), (_, mismatched) = split(row["pair"][0]), split(row["mismatched"][0])
        assert split(row["mismatched"][0])[0] == prompt
        assert mismatched != answer
    with pytest.raises(InputError, match=r"train\.jsonl:1: prompt: kto needs answers to another prompt"):
        kto(config, seal_preferences(tmp_path / "three", same[:3]), tmp_path / "out")


def test_the_simpo_and_orpo_losses_are_those_of_trl(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.cpo import CPOTrainer
    from trl.experimental.orpo import ORPOTrainer

    from ta_train.preference.loss import Answers, Sides, preference_loss

    lengths = Sides(torch.tensor([4.0, 7.0]), torch.tensor([3.0, 9.0]))
    answers = Answers(Sides(torch.tensor([-3.0, -9.0]), torch.tensor([-6.0, -8.0])), lengths)
    means = [sums / tokens for sums, tokens in zip(answers.logps, lengths, strict=True)]
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device="cpu"),
        beta=2.0,
        alpha=0.0,
        label_smoothing=0.0,
        loss_type="simpo",
        simpo_gamma=0.7,
    )
    simpo = preference_loss(DpoConfig(loss="simpo", beta=2.0, simpo_margin=0.7), answers)
    losses, chosen, rejected = CPOTrainer.cpo_loss(trainer, *means)
    assert torch.allclose(simpo.loss, losses.mean())
    assert torch.allclose(torch.stack(simpo.rewards), torch.stack([chosen, rejected]))
    ratio = (
        preference_loss(OrpoConfig(beta=2.0), answers).loss
        - preference_loss(OrpoConfig(beta=1.0), answers).loss
    )
    trainer.beta = 1.0
    assert torch.allclose(ratio, -ORPOTrainer.odds_ratio_loss(trainer, *means)[0].mean())


def test_orpo_trains_the_chosen_answer_and_nothing_else(
    base_model: Path, preferences: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    config = fixed(base_model, OrpoConfig, beta=1e-9, max_steps=1)
    tuned = orpo(config, preferences, tmp_path / "adapter")
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    total, count = 0.0, 0
    for row in our_rows(config, preferences)[:2]:
        side = row["pair"][0]
        ids, labels = torch.tensor([side.input_ids]), torch.tensor([side.labels])
        tokens = sum(label != -100 for label in side.labels)
        total += model(input_ids=ids, labels=labels).loss.item() * tokens
        count += tokens
    assert steps(tuned)[0] == pytest.approx(total / count, rel=1e-5)


def test_the_answer_is_scored_up_to_its_stop_token_and_the_prompt_is_not(
    base_model: Path, preferences: Path
) -> None:
    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_tokenizer

    prompt, answer = split(our_rows(fixed(base_model), preferences)[0]["pair"][0])
    tokenizer = load_tokenizer(resolve(str(base_model)))
    assert tokenizer.decode(prompt).endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(answer).startswith("Run it with a file.")
    assert tokenizer.decode(answer).endswith("```<|im_end|>")


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "ipo"},
        {"loss": "hinge"},
        {"loss": "simpo"},
        {"beta": 0.5},
        {"epochs": 0.1},
        {"max_steps": 5},
        {"batch_size": 3},
        {"gradient_accumulation": 2},
        {"learning_rate": 1e-3},
        {"seed": 7},
        {"dtype": "bfloat16"},
    ],
    ids=str,
)
def test_every_option_changes_the_trained_weights(
    change: dict[str, Any],
    reference: Artifact,
    base_model: Path,
    preferences: Path,
    adapter: Path,
    tmp_path: Path,
) -> None:
    changed = dpo(fixed(base_model, **change), preferences, tmp_path / "adapter", adapter=adapter)
    weights = "adapter_model.safetensors"
    assert (changed.path / weights).read_bytes() != (reference.path / weights).read_bytes()


@pytest.mark.parametrize(
    ("method", "change"),
    [
        (DpoConfig, {"loss": "simpo", "simpo_margin": 2.0}),
        (OrpoConfig, {"beta": 0.5}),
        (KtoConfig, {"beta": 0.5}),
    ],
)
def test_the_options_of_one_method_change_its_loss(
    method: type[PreferenceConfig],
    change: dict[str, Any],
    base_model: Path,
    preferences: Path,
    adapter: Path,
    tmp_path: Path,
) -> None:
    plain = {"loss": "simpo"} if "loss" in change else {}
    found = [
        steps(VERBS[config.method](config, preferences, tmp_path / str(i), adapter=adapter))
        for i, config in enumerate(fixed(base_model, method, max_steps=3, **c) for c in (plain, change))
    ]
    assert found[0][-1] != found[1][-1]


def test_accumulated_batches_count_as_one(
    reference: Artifact, base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    config = fixed(base_model, batch_size=1, gradient_accumulation=2, max_steps=2)
    halves = dpo(config, preferences, tmp_path / "adapter", adapter=adapter)
    # The same pairs stand in the first step: the order shuffles batches inside windows of 8.
    assert steps(halves)[0] == pytest.approx(steps(reference)[0], rel=1e-6)


def test_gradient_checkpointing_gives_the_same_losses(
    reference: Artifact, base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    changed = dpo(
        fixed(base_model, gradient_checkpointing=True), preferences, tmp_path / "adapter", adapter=adapter
    )
    assert steps(changed) == pytest.approx(steps(reference), rel=1e-4)


@pytest.mark.parametrize("method", [DpoConfig, OrpoConfig, KtoConfig])
def test_both_engines_give_the_same_losses(
    method: type[PreferenceConfig], base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    found = {}
    for engine in ("fast", "transformers"):
        config = fixed(base_model, method, engine=engine)
        found[engine] = VERBS[config.method](config, preferences, tmp_path / engine, adapter=adapter)
    assert steps(found["fast"]) == pytest.approx(steps(found["transformers"]), rel=1e-4)
    assert steps(found["fast"], "reward_margin") == pytest.approx(
        steps(found["transformers"], "reward_margin"), rel=1e-3, abs=1e-5
    )


@pytest.mark.parametrize(("engine", "called"), [("auto", True), ("fast", True), ("transformers", False)])
def test_the_engine_that_was_asked_for_is_used(
    engine: str,
    called: bool,
    base_model: Path,
    preferences: Path,
    adapter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ta_train.fast.llama import FastLlama

    seen = []
    original = FastLlama.losses

    def watched(self: Any, *batch: Any) -> Any:
        seen.append(batch)
        return original(self, *batch)

    monkeypatch.setattr(FastLlama, "losses", watched)
    dpo(fixed(base_model, engine=engine, max_steps=1), preferences, tmp_path / "out", adapter=adapter)
    assert bool(seen) == called


def test_eval_points_and_eval_rows_decide_the_validation(
    reference: Artifact, base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    changed = dpo(
        fixed(base_model, eval_points=1, eval_rows=1), preferences, tmp_path / "adapter", adapter=adapter
    )

    def validations(artifact: Artifact) -> list[tuple[int, float]]:
        return [(m["step"], m["validation_loss"]) for m in lines(artifact) if "validation_loss" in m]

    assert [step for step, _ in validations(reference)] == [0, 2, 4, 6]
    assert [step for step, _ in validations(changed)] == [0, 6]
    assert validations(changed)[-1][1] != validations(reference)[-1][1]


def with_line_two(**change: Any) -> list[PreferenceRow]:
    bad = preference("cp", 1)
    for key, value in change.items():
        setattr(bad, key, value)
    return [preference("ls", 0), bad]


ANSWER = Message(role="assistant", content="Run it.")
USER = Message(role="user", content="How?")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chosen": [ANSWER], "rejected": [ANSWER]}, "rejected: the same answer as chosen"),
        ({"rejected": [Message(role="assistant", content=" \n")]}, "rejected: the answer is empty"),
        ({"chosen": []}, "chosen: expected one assistant message, found 0"),
        ({"chosen": [USER]}, "chosen: expected one assistant message"),
        ({"prompt": [USER, ANSWER]}, "prompt: ends with assistant, expected a user turn"),
        ({"prompt": []}, "prompt: ends with nothing"),
        ({"chosen": [Message(role="assistant", content="word " * 600)]}, "chosen: .* max_length is 512"),
        ({"rejected": [Message(role="assistant", content="word " * 600)]}, "rejected: .* answer would be cut"),
    ],
)
def test_a_bad_row_is_refused_by_file_line_and_field(
    change: dict[str, Any], message: str, base_model: Path, tmp_path: Path
) -> None:
    data = seal_preferences(tmp_path / "preferences", with_line_two(**change))
    with pytest.raises(InputError, match=rf"preferences/train\.jsonl:2: {message}"):
        dpo(fixed(base_model), data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.work").exists()


@pytest.mark.parametrize("split_name", ["train", "validation"])
def test_a_split_without_rows_is_refused(split_name: str, base_model: Path, tmp_path: Path) -> None:
    splits = ([], None) if split_name == "train" else (preference_rows(), [])
    data = seal_preferences(tmp_path / "preferences", *splits)
    with pytest.raises(InputError, match=rf"{split_name}\.jsonl: no rows"):
        dpo(fixed(base_model), data, tmp_path / "out")


def test_an_answer_whose_white_space_melts_into_the_prompt_is_refused(base_model: Path) -> None:
    from ta_train.models.base_model import resolve
    from ta_train.models.load import load_tokenizer
    from ta_train.preference.rows import Located, render_pairs

    tokenizer = load_tokenizer(resolve(str(base_model)))
    tokenizer.add_tokens(["\n\n"])  # the template's newline and the answer's: a token no prompt alone ends with
    bad = with_line_two(chosen=[Message(role="assistant", content="\n```bash\ncp\n```")])[1]
    with pytest.raises(InputError, match="here:2: rejected: an answer's first characters melt"):
        render_pairs([Located("here:2", bad)], tokenizer, max_length=512)


def test_another_kind_of_artifact_is_refused(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="kind 'dataset', expected 'preferences'"):
        dpo(fixed(base_model), dataset, tmp_path / "out")


def test_an_adapter_of_another_base_model_is_refused(
    base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(base_model, other)
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    with pytest.raises(ArtifactError, match="made for the base model tiny .* not for other .* set base_model"):
        dpo(fixed(other), preferences, tmp_path / "out", adapter=adapter)


def resealed(adapter: Path, out: Path, **change: Any) -> Path:
    """The adapter with another `adapter_config.json`."""
    with ArtifactWriter(out, kind="adapter", producer="test 1") as writer:
        shutil.copytree(
            adapter, writer.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json")
        )
        file = writer.path / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
    return out


def test_a_reward_model_is_refused(base_model: Path, preferences: Path, adapter: Path, tmp_path: Path) -> None:
    reward = resealed(adapter, tmp_path / "reward", task_type="SEQ_CLS")
    with pytest.raises(ArtifactError, match="reward: a reward model"):
        dpo(fixed(base_model), preferences, tmp_path / "out", adapter=reward)


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")
def test_weights_that_are_not_there_are_named(
    base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    other = resealed(adapter, tmp_path / "other", target_modules=["q_proj", "up_proj", "k_proj"])
    with pytest.raises(ArtifactError, match="other: its weights do not fit the base model, as .*k_proj"):
        dpo(fixed(base_model), preferences, tmp_path / "out", adapter=other)


def test_a_key_that_the_adapter_decides_is_refused(
    base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"lora_rank: the adapter .* has its own"):
        dpo(fixed(base_model, lora_rank=8), preferences, tmp_path / "out", adapter=adapter)


@pytest.mark.parametrize(
    ("method", "override", "message"),
    [
        ("dpo", "lora_dropout=0.1", "lora_dropout: Input should be less than or equal to 0"),
        ("dpo", "simpo_margin=1", "simpo_margin: the loss sigmoid has none"),
        ("orpo", "loss=ipo", "unknown key 'loss'"),
        ("kto", "beta=0", "beta"),
    ],
)
def test_a_key_without_effect_is_refused(method: str, override: str, message: str) -> None:
    from ta_train.recipe import CONFIGS

    with pytest.raises(InputError, match=message):
        load_recipe(f"cpu-smollm2-{method}", CONFIGS[method], [override])


@pytest.mark.parametrize("variant", [{"rslora": True}, {"dora": True}, {"modules_to_save": ["embed_tokens"]}])
def test_an_adapter_of_any_shape_goes_on_where_it_stopped(
    variant: dict[str, Any], base_model: Path, dataset: Path, preferences: Path, tmp_path: Path
) -> None:
    config = SftConfig(
        base_model=str(base_model), dtype="float32", max_steps=2, eval_points=1, learning_rate=1e-2, **variant
    )
    start = sft(config, dataset, tmp_path / "sft")
    tuned = dpo(
        fixed(base_model, max_steps=1, learning_rate=1e-9), preferences, tmp_path / "out", adapter=start.path
    )
    from safetensors.torch import load_file

    before, after = (load_file(a.path / "adapter_model.safetensors") for a in (start, tuned))
    assert before.keys() == after.keys()
    assert all((before[key] - after[key]).abs().max() < 1e-6 for key in before)


def test_the_command_line_prints_margin_and_accuracy(
    base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    from ta_train.cli import app

    for method, kind in (("dpo", DpoConfig), ("orpo", OrpoConfig), ("kto", KtoConfig)):
        recipe = tmp_path / f"{method}.yaml"
        values = fixed(base_model, kind, max_steps=1).model_dump(exclude_unset=True)
        recipe.write_text(json.dumps({"method": method, **values}))
        out = str(tmp_path / method)
        arguments = [method, str(preferences), "--out", out, "--recipe", str(recipe), "--adapter", str(adapter)]
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0, shown.output
        assert "reward margin" in shown.output
        assert "→" in shown.output
        again = CliRunner().invoke(app, [*arguments, "--json"])
        assert json.loads(again.stdout)["metrics"]["reward_accuracy"] >= 0


RUN = """
import json, sys
from pathlib import Path
from ta_schemas.errors import exit_with_one_line
from ta_train.preference.config import DpoConfig
from ta_train.preference.preference import dpo
config, preferences, adapter, out = sys.argv[1:]
settings = DpoConfig(**json.loads(config))
exit_with_one_line(lambda: dpo(settings, Path(preferences), Path(out), adapter=Path(adapter)))
"""


def run_in_a_process(config: DpoConfig, preferences: Path, adapter: Path, out: Path) -> subprocess.Popen[str]:
    """Start DPO and wait until step 20 is on the disk."""
    given = config.model_dump_json(exclude_unset=True)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, given, str(preferences), str(adapter), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    checkpoint = out.with_name(f"{out.name}.work") / "checkpoint-20" / "trainer_state.json"
    for _ in range(1200):
        if checkpoint.exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    return process


@pytest.fixture(scope="module")
def long_run(
    tmp_path_factory: pytest.TempPathFactory, base_model: Path, preferences: Path, adapter: Path
) -> tuple[DpoConfig, Artifact]:
    """80 steps without a break."""
    config = fixed(base_model, max_steps=80, epochs=20, save_every=10, eval_points=2)
    return config, dpo(config, preferences, tmp_path_factory.mktemp("long") / "adapter", adapter=adapter)


def test_a_killed_run_resumes_to_the_same_adapter(
    long_run: tuple[DpoConfig, Artifact], preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    config, unbroken = long_run
    out = tmp_path / "adapter"
    process = run_in_a_process(config, preferences, adapter, out)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert not out.exists(), output
    with pytest.raises(ArtifactError, match="--resume"):
        dpo(config, preferences, out, adapter=adapter)
    resumed = dpo(config, preferences, out, adapter=adapter, resume=True)
    assert steps(resumed) == steps(unbroken)
    assert resumed.digest == unbroken.digest


def test_ctrl_c_saves_a_checkpoint_and_resumes_to_the_same_adapter(
    long_run: tuple[DpoConfig, Artifact], preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    config, unbroken = long_run
    out = tmp_path / "adapter"
    process = run_in_a_process(config.model_copy(update={"save_every": 20}), preferences, adapter, out)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "with a checkpoint: run again with --resume to go on" in output
    resumed = dpo(config.model_copy(update={"save_every": 20}), preferences, out, adapter=adapter, resume=True)
    assert steps(resumed) == steps(unbroken)


@pytest.mark.slow
def test_dpo_of_the_embedded_model_starts_at_a_short_adapter_and_widens_the_margin(
    dataset: Path, preferences: Path, tmp_path: Path
) -> None:
    start = sft(load_recipe("cpu-tiny", SftConfig), dataset, tmp_path / "sft")
    recipe = load_recipe(
        "cpu-smollm2-dpo", DpoConfig, ["max_steps=4", "eval_points=1", "eval_rows=2", "epochs=1"]
    )
    metrics = dpo(recipe, preferences, tmp_path / "dpo", adapter=start.path).manifest.metrics
    assert metrics["reward_margin"] > metrics["reward_margin_before"] == 0
    assert metrics["validation_loss"] < metrics["validation_loss_before"]
