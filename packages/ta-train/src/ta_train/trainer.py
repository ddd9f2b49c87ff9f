"""TRL's SFTTrainer over rows that are tokenized and marked already."""

from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import SFTConfig as TrlConfig
from trl import SFTTrainer

from ta_train.arguments import optimizer_steps, training_arguments
from ta_train.config import SftConfig
from ta_train.fast.engine import fast_engine
from ta_train.machine import on_gpu
from ta_train.order import training_order
from ta_train.processor import cpu_threads
from ta_train.render import IGNORED, Rendered
from ta_train.run_log import RunLog
from ta_train.work import WorkFolder


class FastTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer around a model whose forward gives the losses at once (`ta_train.fast`)."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross entropy in nats, summed over trained tokens, divided by their number in the whole step."""
        mask = inputs["attention_mask"]
        total = model(input_ids=inputs["input_ids"], attention_mask=mask, labels=inputs["labels"]).losses.sum()
        if num_items_in_batch is None:
            loss = total / (inputs["labels"][:, 1:] != IGNORED).sum()
        else:  # the tokens of all processes, whose gradients will be averaged
            loss = total / num_items_in_batch * self.accelerator.num_processes
        if self.model.training:
            self._total_train_tokens += int(self.accelerator.gather(mask.sum()).sum())
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return (loss, {}) if return_outputs else loss


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
    if not on_gpu(config):
        torch.set_num_threads(cpu_threads(config.threads))
    order = training_order(
        train,
        order=config.order,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        repeat=config.repeat,
    )
    steps = optimizer_steps(config, len(order))
    arguments = training_arguments(config, work.path, steps=steps, fresh=work.checkpoint() is None)
    engine, reason = fast_engine(config, model)
    if engine:  # it multiplies in its own dtype without autocast, checkpoints by itself, has its own loss
        arguments |= {"bf16": False, "gradient_checkpointing": False, "loss_type": "nll"}
    else:
        arguments["padding_free"] = config.packing
    if reason:
        log.console.print(f"TRL's own engine: the fast one does not serve this run ({reason})")
    trainer = (FastTrainer if engine else SFTTrainer)(
        model=model,
        processing_class=tokenizer,
        train_dataset=_dataset([train[i] for i in order]),
        eval_dataset=_dataset(validation),
        callbacks=[log],
        args=TrlConfig(
            **arguments,
            train_sampling_strategy="sequential",  # the order holds all epochs
            max_length=None,  # rows that are too long were refused before
        ),
    )
    trainer.remove_callback(PrinterCallback)
    if engine:
        engine.take_over()
    return trainer


def _dataset(rows: list[Rendered]) -> Dataset:
    return Dataset.from_dict({"input_ids": [r.input_ids for r in rows], "labels": [r.labels for r in rows]})
