"""The processes of one run: which of them this is, and what all must agree on.

torchrun and accelerate start them and name each in its environment (RANK, WORLD_SIZE); one process alone has
neither. `ta-train launch` adds what was asked for, so that a run that got something else stops.
"""

import os
from typing import Any

from ta_schemas import SetupError
from ta_train.config import TrainConfig
from ta_train.machine import on_gpu

ASKED_PROCESSES = "TA_TRAIN_PROCESSES"
ASKED_SHARDING = "TA_TRAIN_SHARDING"

SHARDINGS = {"fsdp2": "FSDP", "zero3": "DEEPSPEED"}
"""What can be asked for, and what accelerate calls it."""


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Whether this process writes: artifacts, logs and progress are those of rank 0."""
    return rank() == 0


def asked_sharding() -> str:
    """`fsdp2`, `zero3` or an empty string, as `ta-train launch` or accelerate's own configuration asked."""
    if os.environ.get(ASKED_SHARDING):
        return os.environ[ASKED_SHARDING]
    for name, variable in (("fsdp2", "ACCELERATE_USE_FSDP"), ("zero3", "ACCELERATE_USE_DEEPSPEED")):
        if os.environ.get(variable, "false").lower() == "true":
            return name
    return ""


def check_processes(config: TrainConfig) -> None:
    """Refuse before anything is loaded what would silently be another run than the one asked for."""
    asked = int(os.environ.get(ASKED_PROCESSES, world_size()))
    if asked != world_size():
        raise SetupError(
            f"{asked} processes were asked for, {world_size()} run: start them with `ta-train launch`"
        )
    sharding = asked_sharding()
    if sharding and not on_gpu(config):
        # transformers 5.17 passes over FSDP on a CPU: every process would hold the whole model.
        raise SetupError(f"sharding {sharding} needs CUDA GPUs, this run has none: take the preset ddp")
    if sharding and config.quantization != "none":
        raise SetupError(
            f"quantization: {config.quantization}: not with sharding {sharding}: take the preset ddp"
        )


def check_sharding(trainer: Any) -> None:
    """Compare what the trainer made of it with what was asked; raise SetupError where they differ."""
    if world_size() == 1 and not asked_sharding():
        return
    if trainer.args.world_size != world_size():
        raise SetupError(f"{world_size()} processes were started, the trainer sees {trainer.args.world_size}")
    sharding = asked_sharding()
    found = str(trainer.accelerator.distributed_type).rpartition(".")[2]
    if sharding and found != SHARDINGS[sharding]:
        raise SetupError(f"sharding {sharding} was asked for, accelerate runs {found}: check its configuration")


def connect(config: TrainConfig) -> None:
    """Join the other processes: gloo on a CPU, NCCL on GPUs."""
    if world_size() > 1:
        from accelerate import PartialState

        if not on_gpu(config):
            # accelerate would say cpu:0, and torch 2.13 loads no checkpoint to a place of that name.
            os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
        PartialState(cpu=not on_gpu(config))


def wait() -> None:
    """Go on when all are here."""
    if world_size() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def any_of_us(flag: bool) -> bool:
    """Whether one process at least says so; all get the same answer."""
    if world_size() == 1:
        return flag
    import torch
    from accelerate import PartialState

    flags = torch.tensor(int(flag), device=PartialState().device)
    torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
    return bool(flags.item())
