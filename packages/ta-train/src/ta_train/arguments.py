"""The arguments every TRL trainer gets from a configuration."""

import math
from pathlib import Path
from typing import Any

from ta_train.config import TrainConfig
from ta_train.machine import on_gpu
from ta_train.models.load import uses_bfloat16
from ta_train.processes import world_size
from ta_train.trackers import tracker_arguments


def training_arguments(config: TrainConfig, work: Path, *, steps: int, fresh: bool) -> dict[str, Any]:
    """Keyword arguments of any TRL config: `steps` optimizer steps, checkpoints in `work`.

    The caller hands the rows over in the order and number they are trained in: one epoch, in sequence, so
    that a resumed run continues at the very next batch.
    """
    return {
        "output_dir": str(work),
        "num_train_epochs": 1,
        "max_steps": steps,
        "per_device_train_batch_size": config.batch_size,
        "per_device_eval_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.schedule,
        "warmup_steps": math.ceil(config.warmup * steps),
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "seed": config.seed,
        "use_cpu": not on_gpu(config),
        "bf16": uses_bfloat16(config),
        "gradient_checkpointing": config.gradient_checkpointing,
        "eval_strategy": "steps",
        "eval_on_start": fresh,
        "eval_steps": max(1, math.ceil(steps / config.eval_points)),
        "save_steps": config.save_every,
        "save_total_limit": 2,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would log the mean of the steps before in place of a nan
        "disable_tqdm": True,
        **tracker_arguments(config, work),
    }


def optimizer_steps(config: TrainConfig, rows: int) -> int:
    """How many steps `rows` rows make, counted over all epochs, over all processes; at most `max_steps`."""
    steps = math.ceil(rows / (config.batch_size * config.gradient_accumulation * world_size()))
    return min(steps, config.max_steps) if config.max_steps else steps
