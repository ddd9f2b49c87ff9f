"""Supervised fine-tuning: a dataset artifact in, an adapter artifact out (`ta-train sft`)."""

import json
import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact, ArtifactWriter, InputError, Parent, read_jsonl, sealed
from ta_schemas.artifact import refuse_existing
from ta_schemas.errors import Stopped
from ta_schemas.rows import ConversationRow
from ta_train import PRODUCER
from ta_train.base_model import BaseModel, resolve
from ta_train.config import SftConfig
from ta_train.curves import fit_sentence, plot_curves, read_metrics
from ta_train.render import Rendered, render_all
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
    """Tune an adapter on a sealed dataset and seal it at `out`.

    An `out` that is sealed already with the same configuration and parents is returned at once. An
    interrupted run leaves `<out>.work`; `resume` goes on from its last checkpoint to the same final loss.

    Raises InputError (data or configuration), ArtifactError (dataset or `out`), SetupError (extras).
    """
    console = console or Console(stderr=True)
    data = Artifact.open(dataset, kind="dataset")
    base = resolve(config.base_model)
    identity = {"sft": config.model_dump(exclude={"description"}), "base_model": base.name}
    parents = [data.as_parent, Parent(kind="model", digest=base.digest)]
    done = sealed(out, kind="adapter", config=identity, parents=parents)
    if done:
        return done
    refuse_existing(out, replace=replace)
    train_rows = list(read_jsonl(data.file("train.jsonl"), ConversationRow))
    validation_rows = _evenly(
        list(read_jsonl(data.file("validation.jsonl"), ConversationRow)), config.eval_rows
    )
    if not train_rows or not validation_rows:
        raise InputError(f"{dataset}: the training or the validation split is empty: add data")

    from ta_train.model import cpu_threads, load_tokenizer, load_with_adapter
    from ta_train.run_log import RunLog
    from ta_train.trainer import build_trainer

    tokenizer = load_tokenizer(base)
    train = render_all(train_rows, tokenizer, max_length=config.max_length)
    validation = render_all(validation_rows, tokenizer, max_length=config.max_length)
    show_sample(train[0], tokenizer, console)

    run = {"config": identity, "parents": [parent.digest for parent in parents]}
    work = WorkFolder.open(out, run, resume=resume, replace=replace)
    work.rewind_metrics()
    log = RunLog(work.metrics_file, console)
    model = load_with_adapter(config, base)
    checkpoint = work.checkpoint()
    if checkpoint:
        console.print(f"resuming at step {work.step}")
    trainer = build_trainer(
        config, model, tokenizer, train, validation, work.path, log, fresh=checkpoint is None
    )
    started = time.monotonic()
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        log.close()
    if log.interrupted:
        raise Stopped(f"stopped at step {work.step} with a checkpoint: run again with --resume to go on")

    metrics = read_metrics(work.metrics_file)
    with ArtifactWriter(
        out, kind="adapter", producer=PRODUCER, config=identity, parents=parents, replace=replace
    ) as writer:
        _write_adapter(writer.path, config, data, base, model, tokenizer)
        logs = writer.path / "logs"
        logs.mkdir()
        shutil.copy(work.metrics_file, logs / "metrics.jsonl")
        plot_curves(metrics, logs / "curves.png")
        writer.metrics |= _summary(metrics, train, model) | {"training_s": time.monotonic() - started}
        writer.environment |= {
            "base_model_path": str(base.path),
            "cpu_threads": cpu_threads(config),
            "processor": platform.processor() or platform.machine(),
            **{name: version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")},
        }
    work.remove()
    return Artifact.open(out, kind="adapter")


def _write_adapter(
    folder: Path, config: SftConfig, data: Artifact, base: BaseModel, model: Any, tokenizer: Any
) -> None:
    """Weights and everything that must travel with them, so that nobody passes it again."""
    # A name, not this machine's path: the adapter is the same wherever it was made.
    lora = model.peft_config["default"]
    lora.base_model_name_or_path = base.name
    lora.target_modules = sorted(lora.target_modules)  # a set: written in another order by each process
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's card template says nothing of this run
    # The base folder's own files, byte for byte: what transformers writes anew can differ from what it read.
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (base.path / name).exists():
            shutil.copy(base.path / name, folder / name)
    (folder / "chat_template.jinja").write_text(tokenizer.chat_template, encoding="utf-8")
    settings = {
        "system_prompt": data.manifest.config.get("system_prompt", ""),
        "generation": {
            "max_tokens": config.max_tokens,
            "temperature": config.temperature,
            "stop": [tokenizer.eos_token],
        },
        "base_model": {"name": base.name, "digest": base.digest},
        "dataset": data.digest,
    }
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    (folder / "settings.json").write_text(text, encoding="utf-8")


def _summary(metrics: list[dict[str, Any]], train: list[Rendered], model: Any) -> dict[str, Any]:
    steps = [m for m in metrics if "loss" in m]
    validation = [m["validation_loss"] for m in metrics if "validation_loss" in m]
    return {
        "steps": steps[-1]["step"],
        "tokens": steps[-1]["tokens"],
        "tokens_per_s": steps[-1]["tokens_per_s"],
        "training_loss": sum(m["loss"] for m in steps[-10:]) / len(steps[-10:]),
        "validation_loss_before": validation[0],
        "validation_loss": validation[-1],
        "fit": fit_sentence(metrics),
        "training_rows": len(train),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


def _evenly(rows: list[ConversationRow], wanted: int) -> list[ConversationRow]:
    """At most `wanted` rows, evenly over the file."""
    if len(rows) <= wanted:
        return rows
    return [rows[i * len(rows) // wanted] for i in range(wanted)]
