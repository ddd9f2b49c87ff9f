"""What a run will take, from its rows and the model's config.json; nothing is trained."""

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ta_schemas import Artifact, InputError, read_jsonl
from ta_schemas.rows import ConversationRow
from ta_train.config import SftConfig, TrainConfig
from ta_train.estimate.available import Available, available, held
from ta_train.estimate.batches import Batch, Work, pair_work, sft_work
from ta_train.estimate.duration import EFFICIENCY, Operations, matrix_rate, operations
from ta_train.estimate.memory import TRAINER_BYTES, Memory, Numerics, largest_pass
from ta_train.estimate.probe import Probe
from ta_train.estimate.shape import Shape, read_shape
from ta_train.machine import on_gpu
from ta_train.models.base_model import BaseModel, resolve
from ta_train.preference.config import PreferenceConfig
from ta_train.start import start_from


@dataclass(frozen=True)
class Estimate:
    """What a run of one process will take."""

    config: TrainConfig
    shape: Shape
    work: Work
    numerics: Numerics
    batch: Batch
    """The forward pass that takes the most memory."""
    memory: Memory
    available: Available | None
    """None for a GPU that this machine has not."""
    operations: Operations
    rate: float
    """Operations a second; 0: not known here."""

    @property
    def engine(self) -> str:
        """`fast` or `trl`."""
        return "fast" if self.shape.fast else "trl"

    @property
    def seconds(self) -> float:
        """Of training and validation, without loading the model; 0: not known."""
        return self.operations.total / self.rate if self.rate else 0.0

    @property
    def fits(self) -> bool:
        """Whether the peak is below what is available; True where that is not known."""
        return self.available is None or self.memory.peak <= self.available.size_bytes

    @property
    def measured(self) -> bool:
        """Whether the memory formula was compared with measured peaks (README): in float32 on a CPU."""
        return not (self.numerics.gpu or self.numerics.bfloat16)

    def as_json(self) -> dict[str, Any]:
        """All of it, for `--json`."""
        return {
            "method": self.config.method,
            "device": "cuda" if self.numerics.gpu else "cpu",
            "dtype": "bfloat16" if self.numerics.bfloat16 else "float32",
            "engine": self.engine,
            "peak_bytes": self.memory.peak,
            "parts_bytes": self.memory._asdict(),
            "largest_batch": self.batch._asdict(),
            "available_bytes": self.available.size_bytes if self.available else None,
            "fits": self.fits,
            "formula_measured": self.measured,
            "steps": self.work.steps,
            "tokens": sum(batch.tokens for batch in self.work.training),
            "seconds": self.seconds or None,
            "trainable_parameters": self.shape.trainable,
            "parameters": self.shape.parameters,
        }


def estimate(config: TrainConfig, data: Path, *, adapter: Path | None = None, seconds: float = 1.0) -> Estimate:
    """Estimate memory and time of `sft` on a dataset, or of `dpo`, `orpo`, `kto` on preferences.

    `adapter`: the one a preference run starts from. `seconds`: how long a matrix product is timed. With
    `device: cuda` it may be a GPU that this machine has not; then nothing is said about the time. A base model
    needs no weights here: a folder with config.json and tokenizer does, and of a hub id only those are fetched.
    Raises InputError and ArtifactError as the run does.
    """
    from ta_train.models.load import load_tokenizer

    base = resolve(config.base_model) if adapter else _without_weights(config.base_model)
    config = start_from(adapter, config, base).config
    work = _read_work(config, data, load_tokenizer(base))
    return estimate_work(config, base.path, work, seconds=seconds)


def estimate_work(config: TrainConfig, folder: Path, work: Work, *, seconds: float) -> Estimate:
    """The same from the run's forward passes and the base model's folder."""
    from ta_train.models.load import uses_bfloat16

    here = on_gpu(config)
    gpu = here or config.device == "cuda"
    numerics = Numerics(gpu, config.dtype != "float32" if gpu and not here else uses_bfloat16(config))
    shape = read_shape(config, folder, gpu=gpu)
    batch, memory = largest_pass(config, shape, work, numerics)
    if not gpu:
        _import_all()
        memory = memory._replace(libraries=held() + TRAINER_BYTES)
    elsewhere = gpu and not here
    rate = 0.0
    if not elsewhere:
        rate = matrix_rate(config, shape, numerics, seconds=seconds)
        rate *= EFFICIENCY["fast" if shape.fast else "trl"]
    return Estimate(
        config,
        shape,
        work,
        numerics,
        batch,
        memory,
        None if elsewhere else available(gpu=gpu),
        operations(config, shape, work),
        rate,
    )


def _import_all() -> None:
    """Import what a run imports, so that this process holds what the run will hold."""
    # torch._dynamo is 140 MB; optimizers and checkpointing import it at their first step.
    for module in ("torch._dynamo", "ta_train.trainer"):
        import_module(module)


def _read_work(config: TrainConfig, data: Path, tokenizer: Any) -> Work:
    """Read and render as the run does; its errors are the run's errors."""
    if isinstance(config, PreferenceConfig):
        from ta_train.preference.rows import read_preferences, render_pairs

        found = Artifact.open(data, kind="preferences")
        pairs = [
            render_pairs(rows, tokenizer, max_length=config.max_length)
            for rows in (
                read_preferences(found.file("train.jsonl")),
                read_preferences(found.file("validation.jsonl"))[: config.eval_rows],
            )
        ]
        return pair_work(config, *pairs)
    if not isinstance(config, SftConfig):
        raise InputError(f"no estimate for {config.method}: sft, dpo, orpo and kto have one")
    from ta_train.render import render_all

    found = Artifact.open(data, kind="dataset")
    rows = [
        list(read_jsonl(found.file(f"{split}.jsonl"), ConversationRow)) for split in ("train", "validation")
    ]
    if not all(rows):
        raise InputError(f"{data}: the training or the validation split is empty: add data")
    train, validation = (
        render_all(part, tokenizer, max_length=config.max_length)
        for part in (rows[0], rows[1][: config.eval_rows])
    )
    return sft_work(config, train, validation)


def _without_weights(name: str) -> BaseModel:
    """Where config.json and tokenizer lie, without a digest; of a hub id the weights stay where they are."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    folder = Path(name).expanduser()
    if (folder / "config.json").exists():
        return BaseModel(folder.name, folder, "")
    if not folder.exists() and folder.suffix != ".gguf" and name.count("/") == 1:
        try:
            found = snapshot_download(name, allow_patterns=["*.json", "*.jinja", "tokenizer*", "*.model"])
            return BaseModel(name, Path(found), "")
        except (HfHubHTTPError, OSError, ValueError):
            pass  # resolve says what is wrong
    return resolve(name)


def corrected(found: Estimate, probe: Probe) -> Estimate:
    """The estimate with a probe's speed, and its peak plus what the run's largest pass needs beyond it."""
    steps = found.operations.steps[: probe.steps + 1][-probe.steps :]
    rate = sum(steps) / probe.seconds
    if found.numerics.gpu:
        return replace(found, rate=rate)
    passes = found.work.training[: (probe.steps + 1) * found.work.passes]
    _, then = largest_pass(found.config, found.shape, found.work._replace(training=passes), found.numerics)
    off = probe.peak_bytes - (then.peak + found.memory.libraries)
    return replace(found, rate=rate, memory=found.memory._replace(probed=off))


def gigabytes(size: float) -> str:
    """Such as `3.4 GB`."""
    return f"{size / 1e9:.1f} GB"
