"""TRL's GRPOTrainer and RLOOTrainer over our prompts and a reward of any kind."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import PrinterCallback
from trl import GRPOConfig as TrlGrpoConfig
from trl import GRPOTrainer, RLOOConfig, RLOOTrainer

from ta_train.arguments import training_arguments
from ta_train.machine import on_gpu
from ta_train.processes import world_size
from ta_train.processor import cpu_threads
from ta_train.rl.config import GrpoConfig
from ta_train.rl.prompts import Messages, Prompts, training_prompts
from ta_train.rl.reward_curve import RewardCurve
from ta_train.rl.rollout import Reward, judge
from ta_train.run_log import RunLog
from ta_train.work import WorkFolder

REFERENCE = "ref"
"""What TRL calls the frozen copy of the adapter that it lays beside it where there is a KL penalty."""


class _ResumesTheTrainedAdapter:
    """TRL lays a second adapter, the reference, beside the trained one. The checkpoint then has a subfolder for
    it, and transformers 5.17 resumes from subfolders alone: the trained adapter would fall back to its start.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        weights = load_file(Path(resume_from_checkpoint) / "adapter_model.safetensors")
        set_peft_model_state_dict(self.model, weights)  # type: ignore[attr-defined]


class _Grpo(_ResumesTheTrainedAdapter, GRPOTrainer):  # type: ignore[misc]
    pass


class _Rloo(_ResumesTheTrainedAdapter, RLOOTrainer):  # type: ignore[misc]
    pass


def build_grpo_trainer(
    config: GrpoConfig,
    model: Any,
    tokenizer: Any,
    prompts: Prompts,
    reward: Reward,
    work: WorkFolder,
    log: RunLog,
) -> Any:
    """A trainer that walks `training_prompts`, `group_size` answers to each prompt."""
    if not on_gpu(config):
        torch.set_num_threads(cpu_threads(config.threads))
    per_step = config.batch_size * config.gradient_accumulation * world_size() // config.group_size
    rows = training_prompts(config, prompts.train, per_step=per_step)
    steps = len(rows) // per_step

    def rewards(
        prompts: list[Messages], completions: list[Messages], reference: list[str], **_: Any
    ) -> list[float]:
        return judge(reward, prompts, [answer[0]["content"] for answer in completions], reference)

    arguments = {
        **training_arguments(config, work.path, steps=steps, fresh=False),
        "eval_strategy": "no",  # RewardCurve measures instead, by the likeliest answers
        "num_generations": config.group_size,
        "beta": config.beta,
        "temperature": config.sample_temperature,
        "max_completion_length": config.sample_tokens,
        "shuffle_dataset": False,  # they are in order
    }
    grouped = config.advantage == "group"
    trainer = (_Grpo if grouped else _Rloo)(
        model=model,
        reward_funcs=rewards,
        args=TrlGrpoConfig(**arguments) if grouped else RLOOConfig(**arguments),
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": p.messages, "reference": p.reference} for p in rows]),
        callbacks=[log, RewardCurve(config, tokenizer, prompts.validation, reward, log, steps=steps)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
