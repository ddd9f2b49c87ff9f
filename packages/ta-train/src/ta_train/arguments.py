"""The arguments every TRL trainer gets from a configuration."""

import math
from pathlib import Path
from typing import Any

import torch

from ta_train.config import TrainConfig
from ta_train.model import uses_bfloat16


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
        "use_cpu": not torch.cuda.is_available(),
        "bf16": uses_bfloat16(config),
        "gradient_checkpointing": config.gradient_checkpointing,
        "eval_strategy": "steps",
        "eval_on_start": fresh,
        "eval_steps": max(1, math.ceil(steps / config.eval_points)),
        "save_steps": config.save_every,
        "save_total_limit": 2,
        "logging_steps": 1,
        "disable_tqdm": True,
        "report_to": "none",
    }
