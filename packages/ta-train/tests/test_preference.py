"""Real preference runs of a few steps on a random two-layer model."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from preference_fixtures import fixed, lines, steps
from typer.testing import CliRunner

from ta_schemas import Artifact
from ta_train.preference.config import DpoConfig, KtoConfig, OrpoConfig, PreferenceConfig
from ta_train.preference.preference import prefer


@pytest.fixture(scope="module")
def reference(
    tmp_path_factory: pytest.TempPathFactory, base_model: Path, preferences: Path, adapter: Path
) -> Artifact:
    """DPO with the unchanged configuration, trained once."""
    return prefer(
        fixed(base_model), preferences, tmp_path_factory.mktemp("reference") / "adapter", adapter=adapter
    )


@pytest.mark.parametrize("method", [DpoConfig, OrpoConfig, KtoConfig])
def test_every_method_widens_the_margin_of_held_out_pairs(
    method: type[PreferenceConfig], base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    config = fixed(base_model, method, epochs=2, max_steps=0)
    tuned = prefer(config, preferences, tmp_path / "adapter", adapter=adapter)
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
    tuned = prefer(
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
    tuned = prefer(fixed(base_model, lora_rank=2), preferences, tmp_path / "adapter")
    assert [parent.kind for parent in tuned.manifest.parents] == ["preferences", "model"]
    assert steps(tuned)[0] == pytest.approx(math.log(2), rel=1e-6)
    assert json.loads((tuned.path / "settings.json").read_text())["system_prompt"] == "Mine."


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
    changed = prefer(fixed(base_model, **change), preferences, tmp_path / "adapter", adapter=adapter)
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
        steps(prefer(config, preferences, tmp_path / str(i), adapter=adapter))
        for i, config in enumerate(fixed(base_model, method, max_steps=3, **c) for c in (plain, change))
    ]
    assert found[0][-1] != found[1][-1]


def test_accumulated_batches_count_as_one(
    reference: Artifact, base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    config = fixed(base_model, batch_size=1, gradient_accumulation=2, max_steps=2)
    halves = prefer(config, preferences, tmp_path / "adapter", adapter=adapter)
    # The same pairs stand in the first step: the order shuffles batches inside windows of 8.
    assert steps(halves)[0] == pytest.approx(steps(reference)[0], rel=1e-6)


def test_gradient_checkpointing_gives_the_same_losses(
    reference: Artifact, base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    changed = prefer(
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
        found[engine] = prefer(config, preferences, tmp_path / engine, adapter=adapter)
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
    prefer(fixed(base_model, engine=engine, max_steps=1), preferences, tmp_path / "out", adapter=adapter)
    assert bool(seen) == called


def test_eval_points_and_eval_rows_decide_the_validation(
    reference: Artifact, base_model: Path, preferences: Path, adapter: Path, tmp_path: Path
) -> None:
    changed = prefer(
        fixed(base_model, eval_points=1, eval_rows=1), preferences, tmp_path / "adapter", adapter=adapter
    )

    def validations(artifact: Artifact) -> list[tuple[int, float]]:
        return [(m["step"], m["validation_loss"]) for m in lines(artifact) if "validation_loss" in m]

    assert [step for step, _ in validations(reference)] == [0, 2, 4, 6]
    assert [step for step, _ in validations(changed)] == [0, 6]
    assert validations(changed)[-1][1] != validations(reference)[-1][1]


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
