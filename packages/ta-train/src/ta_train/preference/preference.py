"""Preference tuning: pairs of answers in, an adapter artifact out (`ta-train dpo`, `orpo`, `kto`)."""

from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact
from ta_train.adapter import write_adapter
from ta_train.models.base_model import resolve
from ta_train.preference.config import KtoConfig, PreferenceConfig
from ta_train.preference.rows import Located, need_two_prompts, read_preferences, render_pairs
from ta_train.run import TrainingRun, summary
from ta_train.sample import show_sample
from ta_train.start import start_from
from ta_train.work import WorkFolder


def prefer(
    config: PreferenceConfig,
    preferences: Path,
    out: Path,
    *,
    adapter: Path | None = None,
    resume: bool = False,
    replace: bool = False,
    console: Console | None = None,
) -> Artifact:
    """Train until the chosen answers are preferred, and seal the adapter at `out`; `config` is the method.

    DPO's reference is what the run starts from: the model with `adapter`, or the base model without one. (The
    base model below an adapter would count all that fine-tuning has taught as a departure.)
    `out`, `resume` and the errors are those of `sft`; a preference row's error names file, line and field.
    """
    data = Artifact.open(preferences, kind="preferences")
    base = resolve(config.base_model)
    start = start_from(adapter, config, base)
    inputs = [data, start.adapter] if start.adapter else [data]
    run = TrainingRun(start.config, base, inputs, out, resume=resume, replace=replace, console=console)
    done = run.done()
    if done:
        return done
    train_rows = read_preferences(data.file("train.jsonl"))
    validation_rows = _evenly(read_preferences(data.file("validation.jsonl")), config.eval_rows)
    if isinstance(config, KtoConfig):
        need_two_prompts(train_rows)
        need_two_prompts(validation_rows)

    from ta_train.estimate.batches import pair_work
    from ta_train.estimate.check import announce
    from ta_train.models.load import load_tokenizer
    from ta_train.preference.trainer import build_pair_trainer

    tokenizer = load_tokenizer(base)
    train = render_pairs(train_rows, tokenizer, max_length=config.max_length)
    validation = render_pairs(validation_rows, tokenizer, max_length=config.max_length)
    for name, side in (("chosen", train[0].chosen), ("rejected", train[0].rejected)):
        run.console.print(f"{name}:")
        show_sample(side, tokenizer, run.console)
    time_check = announce(start.config, base.path, pair_work(start.config, train, validation), run.console)

    def build(work: WorkFolder, log: Any) -> Any:
        trainer = build_pair_trainer(start.config, start.load(base), train, validation, work, log)
        if time_check:
            trainer.add_callback(time_check)
        return trainer

    trainer, metrics = run.train(build)
    model = trainer.accelerator.unwrap_model(trainer.model)

    def write(folder: Path) -> None:
        prompt = start.system_prompt or data.manifest.config.get("system_prompt", "")
        write_adapter(
            folder,
            start.config,
            base,
            model,
            tokenizer,
            system_prompt=prompt,
            dataset=data.digest,
            state_dict=run.state_dict,
        )

    return run.seal(write, summary(metrics, len(train), model) | _rewards(metrics))


def _rewards(metrics: list[dict[str, Any]]) -> dict[str, float]:
    """Reward margin and accuracy on the validation pairs, before the first and after the last step."""
    points = [m for m in metrics if "validation_reward_margin" in m]
    return {
        f"reward_{what}{when}": point[f"validation_reward_{what}"]
        for when, point in (("_before", points[0]), ("", points[-1]))
        for what in ("margin", "accuracy")
    }


def _evenly(rows: list[Located], wanted: int) -> list[Located]:
    """At most `wanted` rows, evenly over the file."""
    if len(rows) <= wanted:
        return rows
    return [rows[i * len(rows) // wanted] for i in range(wanted)]
