"""TRL's SFTTrainer over rows that are tokenized and marked already."""

import math
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import SFTConfig as TrlConfig
from trl import SFTTrainer

from ta_train.arguments import training_arguments
from ta_train.config import SftConfig
from ta_train.order import training_order
from ta_train.processor import cpu_threads
from ta_train.render import Rendered
from ta_train.run_log import RunLog
from ta_train.work import WorkFolder


def build_trainer(
    config: SftConfig,
    model: Any,
    tokenizer: Any,
    train: list[Rendered],
    validation: list[Rendered],
    work: WorkFolder,
    log: RunLog,
) -> SFTTrainer:
    """A trainer that walks `training_order` once, measures validation loss and writes checkpoints to `work`."""
    if not torch.cuda.is_available():
        torch.set_num_threads(cpu_threads(config.threads))
    order = training_order(
        train,
        order=config.order,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        repeat=config.repeat,
    )
    steps = math.ceil(len(order) / (config.batch_size * config.gradient_accumulation))
    if config.max_steps:
        steps = min(steps, config.max_steps)
    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=_dataset([train[i] for i in order]),
        eval_dataset=_dataset(validation),
        callbacks=[log],
        args=TrlConfig(
            **training_arguments(config, work.path, steps=steps, fresh=work.checkpoint() is None),
            train_sampling_strategy="sequential",  # the order holds all epochs
            max_length=None,  # rows that are too long were refused before
        ),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _dataset(rows: list[Rendered]) -> Dataset:
    return Dataset.from_dict({"input_ids": [r.input_ids for r in rows], "labels": [r.labels for r in rows]})
