"""On-policy distillation: prompts and a teacher in, an adapter nearer to it out (`ta-train distill`)."""

from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact, InputError, Parent
from ta_train.adapter import write_adapter
from ta_train.models.base_model import BaseModel, resolve
from ta_train.rl.config import DistillConfig
from ta_train.rl.prompts import read_prompts
from ta_train.run import TrainingRun
from ta_train.start import start_from
from ta_train.work import WorkFolder


def distill(
    config: DistillConfig,
    dataset: Path,
    out: Path,
    *,
    adapter: Path | None = None,
    resume: bool = False,
    replace: bool = False,
    console: Console | None = None,
) -> Artifact:
    """Train the student's own answers to the dataset's prompts towards the teacher's distribution.

    The student goes on from `adapter`; without one it begins at the base model. Measured is the divergence
    that is trained, on the likeliest answers to the validation prompts, in nats a token. `out` and `resume` are
    those of `sft`.

    Raises InputError (data, configuration, a teacher of another vocabulary), ArtifactError (dataset, adapter
    or `out`), SetupError (extras).
    """
    if not config.teacher:
        raise InputError("teacher: name the model to learn from, such as a merged model's folder")
    data = Artifact.open(dataset, kind="dataset")
    base, teacher = resolve(config.base_model), resolve(config.teacher)
    start = start_from(adapter, config, base)
    if teacher.digest == base.digest and not start.adapter:
        raise InputError(f"teacher: {teacher.name} is the student itself: there is nothing to learn from it")
    inputs = [data, start.adapter] if start.adapter else [data]
    run = TrainingRun(start.config, base, inputs, out, resume=resume, replace=replace, console=console)
    run.parents.append(Parent(kind="model", digest=teacher.digest))
    done = run.done()
    if done:
        return done

    from ta_train.models.load import load_tokenizer, load_whole
    from ta_train.rl.distill_trainer import build_distill_trainer

    tokenizer = load_tokenizer(base)
    check_vocabulary(teacher, load_tokenizer(teacher), tokenizer)
    prompts = read_prompts(config, data, tokenizer)

    def build(work: WorkFolder, log: Any) -> Any:
        model, target = start.load(base), load_whole(config, teacher).requires_grad_(False)
        return build_distill_trainer(start.config, model, target, tokenizer, prompts, work, log)

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

    return run.seal(write, _summary(metrics, len(prompts.train)))


def check_vocabulary(teacher: BaseModel, theirs: Any, ours: Any) -> None:
    """Raise InputError where the same token ids mean different tokens to teacher and student."""
    their_vocabulary, our_vocabulary = theirs.get_vocab(), ours.get_vocab()
    if their_vocabulary == our_vocabulary:
        return
    apart = sorted(their_vocabulary.items() ^ our_vocabulary.items(), key=lambda entry: entry[1])
    example = apart[0][0]
    raise InputError(
        f"teacher: {teacher.name} has another vocabulary: {len(their_vocabulary)} tokens, the student "
        f"{len(our_vocabulary)}; {example!r} is {their_vocabulary.get(example, 'none')} to it and "
        f"{our_vocabulary.get(example, 'none')} to the student: distill from it through data instead"
    )


def _summary(metrics: list[dict[str, Any]], prompts: int) -> dict[str, Any]:
    steps = [m for m in metrics if "loss" in m]
    validation = [m["validation_loss"] for m in metrics if "validation_loss" in m]
    return {
        "steps": steps[-1]["step"],
        "tokens": steps[-1]["tokens"],
        "tokens_per_s": steps[-1]["tokens_per_s"],
        "divergence_before": validation[0],
        "divergence": validation[-1],
        "training_prompts": prompts,
    }
