"""What a run says before its first step, and the refusal of one that cannot fit."""

from pathlib import Path

from rich.console import Console

from ta_schemas import SetupError
from ta_train.config import TrainConfig
from ta_train.estimate.batches import Batch, Work
from ta_train.estimate.duration import in_words
from ta_train.estimate.estimate import Estimate, estimate_work, gigabytes
from ta_train.estimate.memory import memory
from ta_train.estimate.time_check import TimeCheck
from ta_train.processes import asked_sharding, is_first


def announce(config: TrainConfig, folder: Path, work: Work, console: Console) -> TimeCheck | None:
    """Say what the run will take and refuse it where it cannot fit; give what will correct the time.

    Nothing is said of what the formula does not describe: Unsloth's kernels, a model in pieces.
    Raises SetupError where the peak is above what is free and `memory_check` is on.
    """
    if getattr(config, "backend", "") == "unsloth" or asked_sharding():
        return None
    found = estimate_work(config, folder, work, seconds=0.1)
    if not found.fits and config.memory_check:
        raise SetupError(refusal(found))
    console.print(f"about {sentence(found)}")
    return TimeCheck(found, console) if is_first() else None


def sentence(found: Estimate) -> str:
    """Such as `3.4 GB at the peak (19.2 GB free in this machine), 9 minutes (corrected after 20 steps)`."""
    room = found.available
    free = f" ({gigabytes(room.size_bytes)} free {room.where})" if room else ""
    peak = f"{gigabytes(found.memory.peak)} at the peak{free}"
    return f"{peak}, {in_words(found.seconds)}" if found.seconds else peak


def refusal(found: Estimate) -> str:
    """Why the run cannot fit, and what to change, with the peak after it."""
    assert found.available
    ways = [f"{what} (about {gigabytes(peak)})" for what, peak in ways_out(found)]
    return (
        f"this run would take about {gigabytes(found.memory.peak)} at its peak, "
        f"{gigabytes(found.available.size_bytes)} are free {found.available.where}: set "
        f"{', or '.join(ways) or 'base_model to a smaller one'}; memory_check=false starts it anyway"
    )


def ways_out(found: Estimate) -> list[tuple[str, int]]:
    """What would fit, with its peak in bytes: a smaller batch, checkpointing or shorter rows; else two."""
    config, batch = found.config, found.batch
    checkpointed = config.model_copy(update={"gradient_checkpointing": True})
    half = batch.length // 2
    smaller = {}
    for size in (config.batch_size >> i for i in range(1, config.batch_size.bit_length())):
        accumulation = config.gradient_accumulation * config.batch_size // size
        name = f"batch_size={size} with gradient_accumulation={accumulation}"
        smaller[name] = _part(batch, size / config.batch_size)

    def first_that_fits(changed: TrainConfig, batches: dict[str, Batch]) -> list[tuple[str, int]]:
        for name, one in batches.items():
            parts = memory(changed, found.shape, one, found.numerics, libraries=found.memory.libraries)
            if found.available and parts.peak <= found.available.size_bytes:
                return [(name, parts.peak)]
        return []

    one_change = [
        *first_that_fits(config, smaller),
        *first_that_fits(checkpointed, {"gradient_checkpointing=true": batch}),
        *first_that_fits(config, {f"max_length={half} and split longer rows": _clipped(batch, half)}),
    ]
    both = {f"gradient_checkpointing=true and {name}": part for name, part in smaller.items()}
    return one_change or first_that_fits(checkpointed, both)


def _part(batch: Batch, share: float) -> Batch:
    """A batch with fewer rows."""
    return batch._replace(
        rows=max(1, round(batch.rows * share)),
        nodes=round(batch.nodes * share),
        trained=round(batch.trained * share),
        tokens=round(batch.tokens * share),
    )


def _clipped(batch: Batch, length: int) -> Batch:
    """A batch of rows of at most `length` tokens."""
    share = length / batch.length
    answer = min(batch.answer, length)
    return _part(batch, share)._replace(rows=batch.rows, length=length, answer=answer)
