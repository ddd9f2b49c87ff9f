"""The validation reward over a run: the mean over the likeliest answers, before, between and after."""

import math
import time
from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ta_train.rl.config import OnPolicyConfig
from ta_train.rl.prompts import Prompt
from ta_train.rl.rollout import Reward, mean_reward
from ta_train.run_log import RunLog


class RewardCurve(TrainerCallback):  # type: ignore[misc]
    """Measures at the start, at `eval_points` even steps and at the end. Stands after the RunLog."""

    def __init__(
        self,
        config: OnPolicyConfig,
        tokenizer: Any,
        validation: Sequence[Prompt],
        reward: Reward,
        log: RunLog,
        *,
        steps: int,
    ) -> None:
        self.config, self.tokenizer, self.validation = config, tokenizer, validation
        self.reward, self.log = reward, log
        self.every = math.ceil(steps / config.eval_points)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """The reward of where training begins; a resumed run has it in its metrics already."""
        if state.global_step == 0:
            self._measure(state, control, more["model"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Measure where it is due. This is the only evaluation: the trainer has no rows for one of its own."""
        control.should_evaluate = False
        if state.global_step % self.every == 0 or state.global_step >= state.max_steps:
            self._measure(state, control, more["model"])

    def _measure(self, state: TrainerState, control: TrainerControl, model: Any) -> None:
        started = time.monotonic()
        found = mean_reward(
            model,
            self.tokenizer,
            self.validation,
            self.reward,
            max_tokens=self.config.sample_tokens,
            batch_size=self.config.batch_size,
        )
        logs = {"eval_reward": found, "eval_runtime": time.monotonic() - started}
        self.log.on_log(None, state, control, logs)


def reward_summary(metrics: list[dict[str, Any]], prompts: int) -> dict[str, Any]:
    """The numbers of a finished run that a table shows."""
    steps = [m for m in metrics if "loss" in m]
    validation = [m["validation_reward"] for m in metrics if "validation_reward" in m]
    last = steps[-10:]
    return {
        "steps": steps[-1]["step"],
        "tokens": steps[-1]["tokens"],
        "tokens_per_s": steps[-1]["tokens_per_s"],
        "training_reward": sum(m["reward"] for m in last) / len(last),
        "validation_reward_before": validation[0],
        "validation_reward": validation[-1],
        "training_prompts": prompts,
    }
