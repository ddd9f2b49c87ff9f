"""TRL's DistillationTrainer over our prompts."""

from typing import Any

import torch
from datasets import Dataset
from transformers import GenerationConfig, PrinterCallback
from trl import DistillationConfig, DistillationTrainer

from ta_schemas import InputError
from ta_train.arguments import training_arguments
from ta_train.machine import on_gpu
from ta_train.models.load import uses_bfloat16
from ta_train.processes import world_size
from ta_train.processor import cpu_threads
from ta_train.rl.config import DistillConfig
from ta_train.rl.prompts import Prompt, Prompts, training_prompts
from ta_train.run_log import RunLog
from ta_train.work import WorkFolder


class _Distillation(DistillationTrainer):  # type: ignore[misc]
    """Measures on the likeliest answers, so that two measurements differ by the student alone."""

    generation_config: Any

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        sampling = self.generation_config
        # The library's defaults where nothing is sampled: it warns of any other value.
        unused = {"temperature": 1.0, "top_p": 1.0, "top_k": 50}
        self.generation_config = GenerationConfig(
            **{**self.generation_kwargs, **unused, "do_sample": False}, disable_compile=True
        )
        try:
            return dict(super().evaluate(*arguments, **named))
        finally:
            self.generation_config = sampling


def build_distill_trainer(
    config: DistillConfig,
    model: Any,
    teacher: Any,
    tokenizer: Any,
    prompts: Prompts,
    work: WorkFolder,
    log: RunLog,
) -> DistillationTrainer:
    """A trainer that walks `training_prompts`, one answer of the student to each prompt."""
    if not on_gpu(config):
        torch.set_num_threads(cpu_threads(config.threads))
    elif uses_bfloat16(config):
        teacher = teacher.to(torch.bfloat16)
    sizes = [m.config.get_text_config().vocab_size for m in (model, teacher)]
    if sizes[0] != sizes[1]:
        raise InputError(
            f"teacher: its head has {sizes[1]} outputs, the student's {sizes[0]}: they cannot be compared"
        )
    per_step = config.batch_size * config.gradient_accumulation * world_size()
    rows = training_prompts(config, prompts.train, per_step=per_step)
    trainer = _Distillation(
        model=model,
        teacher_model=teacher,
        args=DistillationConfig(
            **training_arguments(
                config, work.path, steps=len(rows) // per_step, fresh=work.checkpoint() is None
            ),
            beta=config.beta,
            temperature=config.sample_temperature,
            max_completion_length=config.sample_tokens,
            shuffle_dataset=False,  # they are in order
        ),
        processing_class=tokenizer,
        train_dataset=_dataset(rows),
        eval_dataset=_dataset(prompts.validation),
        callbacks=[log],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _dataset(prompts: list[Prompt]) -> Dataset:
    return Dataset.from_list([{"prompt": prompt.messages} for prompt in prompts])
