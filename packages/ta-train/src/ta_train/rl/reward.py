"""A reward model: pairs of answers in, an adapter that scores answers out (`ta-train reward`)."""

from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from ta_schemas import Artifact
from ta_train.adapter import write_adapter
from ta_train.models.base_model import resolve
from ta_train.preference.rows import Pair, read_preferences, render_pairs
from ta_train.rl.config import RewardConfig
from ta_train.rl.reward_model import RewardModel, load_reward
from ta_train.run import TrainingRun, summary
from ta_train.work import WorkFolder

__all__ = ["load_reward", "reward"]


def reward(
    config: RewardConfig,
    preferences: Path,
    out: Path,
    *,
    resume: bool = False,
    replace: bool = False,
    console: Console | None = None,
) -> Artifact:
    """Train a reward model on sealed preferences and seal it at `out`; `load_reward` opens it.

    The result is an artifact of kind `adapter`, made by the method `reward`: LoRA matrices and a score head in
    PEFT's format. Nothing that answers begins from it. `out` and `resume` are those of `sft`.

    Raises InputError (rows or configuration), ArtifactError (preferences or `out`), SetupError (extras).
    """
    data = Artifact.open(preferences, kind="preferences")
    base = resolve(config.base_model)
    run = TrainingRun(config, base, [data], out, resume=resume, replace=replace, console=console)
    done = run.done()
    if done:
        return done
    train_rows = read_preferences(data.file("train.jsonl"))
    rows = read_preferences(data.file("validation.jsonl"))
    count = min(config.eval_rows, len(rows))
    validation_rows = [rows[i * len(rows) // count] for i in range(count)]

    from ta_train.models.load import load_tokenizer
    from ta_train.rl.reward_trainer import build_reward_trainer, load_with_head

    tokenizer = load_tokenizer(base)
    train = render_pairs(train_rows, tokenizer, max_length=config.max_length)
    validation = render_pairs(validation_rows, tokenizer, max_length=config.max_length)
    measured: list[Comparison] = []

    def measure(model: Any) -> None:
        measured.append(compare(RewardModel(model, tokenizer, batch_size=config.batch_size), validation))

    def build(work: WorkFolder, log: Any) -> Any:
        trainer = build_reward_trainer(
            config, load_with_head(config, base), tokenizer, train, validation, work, log
        )
        measure(trainer.model)
        return trainer

    trainer, metrics = run.train(build)
    model = trainer.accelerator.unwrap_model(trainer.model)
    measure(model)
    before, after = measured

    def write(folder: Path) -> None:
        prompt = data.manifest.config.get("system_prompt", "")
        write_adapter(
            folder,
            config,
            base,
            model,
            tokenizer,
            system_prompt=prompt,
            dataset=data.digest,
            state_dict=run.state_dict,
        )

    return run.seal(
        write,
        {
            **summary(metrics, len(train), model),
            "pair_accuracy_before": before.accuracy,
            "pair_accuracy": after.accuracy,
            "pair_margin_before": before.margin,
            "pair_margin": after.margin,
        },
    )


class Comparison(NamedTuple):
    """How a reward model judges pairs."""

    accuracy: float
    """Share of pairs whose chosen answer scores higher."""
    margin: float
    """Mean score of the chosen answer minus the rejected one's."""


def compare(model: RewardModel, pairs: list[Pair]) -> Comparison:
    """Score both sides of every pair."""
    chosen = model.score([pair.chosen.input_ids for pair in pairs])
    rejected = model.score([pair.rejected.input_ids for pair in pairs])
    differences = [c - r for c, r in zip(chosen, rejected, strict=True)]
    return Comparison(
        sum(difference > 0 for difference in differences) / len(pairs), sum(differences) / len(pairs)
    )
