"""Supervised fine-tuning: a dataset artifact in, an adapter or model artifact out (`ta-train sft`)."""

from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact, InputError, read_jsonl
from ta_schemas.manifest import Kind
from ta_schemas.rows import ConversationRow
from ta_train.adapter import write_adapter
from ta_train.config import SftConfig
from ta_train.models.base_model import resolve
from ta_train.models.full_model import write_model
from ta_train.render import render_all
from ta_train.run import TrainingRun, summary
from ta_train.sample import show_sample
from ta_train.work import WorkFolder


def sft(
    config: SftConfig,
    dataset: Path,
    out: Path,
    *,
    resume: bool = False,
    replace: bool = False,
    console: Console | None = None,
) -> Artifact:
    """Tune an adapter (or, with `tuning: full`, every weight) on a sealed dataset and seal it at `out`.

    An `out` that is sealed already with the same configuration and parents is returned at once. An
    interrupted run leaves `<out>.work`; `resume` goes on from its last checkpoint to the same final loss.

    Raises InputError (data or configuration), ArtifactError (dataset or `out`), SetupError (extras, memory).
    """
    data = Artifact.open(dataset, kind="dataset")
    base = resolve(config.base_model)
    whole = config.tuning == "full"
    kind: Kind = "model" if whole else "adapter"
    run = TrainingRun(config, base, [data], out, kind=kind, resume=resume, replace=replace, console=console)
    done = run.done()
    if done:
        return done
    train_rows = list(read_jsonl(data.file("train.jsonl"), ConversationRow))
    validation_rows = _evenly(
        list(read_jsonl(data.file("validation.jsonl"), ConversationRow)), config.eval_rows
    )
    if not train_rows or not validation_rows:
        raise InputError(f"{dataset}: the training or the validation split is empty: add data")

    if config.backend == "unsloth":
        from ta_train.models.unsloth_model import import_unsloth, load_tokenizer, load_with_adapter

        import_unsloth(config)
    else:
        from ta_train.models.load import load_tokenizer, load_with_adapter
    from ta_train.estimate.batches import sft_work
    from ta_train.estimate.check import announce
    from ta_train.models.load import load_whole
    from ta_train.trainer import build_trainer

    tokenizer = load_tokenizer(base)
    train = render_all(train_rows, tokenizer, max_length=config.max_length)
    validation = render_all(validation_rows, tokenizer, max_length=config.max_length)
    show_sample(train[0], tokenizer, run.console)
    time_check = announce(config, base.path, sft_work(config, train, validation), run.console)

    def build(work: WorkFolder, log: Any) -> Any:
        model = load_whole(config, base) if whole else load_with_adapter(config, base)
        trainer = build_trainer(config, model, tokenizer, train, validation, work, log)
        if time_check:
            trainer.add_callback(time_check)
        return trainer

    trainer, metrics = run.train(build)
    model = trainer.accelerator.unwrap_model(trainer.model)

    def write(folder: Path) -> None:
        prompt = data.manifest.config.get("system_prompt", "")
        (write_model if whole else write_adapter)(
            folder,
            config,
            base,
            model,
            tokenizer,
            system_prompt=prompt,
            dataset=data.digest,
            state_dict=run.state_dict,
        )

    return run.seal(write, summary(metrics, len(train), model))


def _evenly(rows: list[ConversationRow], wanted: int) -> list[ConversationRow]:
    """At most `wanted` rows, evenly over the file."""
    if len(rows) <= wanted:
        return rows
    return [rows[i * len(rows) // wanted] for i in range(wanted)]
