"""What a running training shows and writes: progress bar, `metrics.jsonl`, a clean stop on Ctrl-C."""

import json
import math
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ta_train.curves import read_metrics
from ta_train.health import Health
from ta_train.processes import any_of_us, is_first

MEASURES = {
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
    "reward": "reward",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "answer_tokens",
    "completions/clipped_ratio": "unstopped",
    "clipped": "clipped",
    "value_loss": "value_loss",
}
"""What some methods measure beside the loss: the trainers' names (TRL's) and ours."""


class RunLog(TrainerCallback):  # type: ignore[misc]
    """Follows a `Trainer`: one line in `metrics.jsonl` for each step and each validation.

    Tokens and seconds count from the beginning of the run, whatever number of times it was resumed.
    """

    def __init__(self, metrics_file: Path, console: Console) -> None:
        self.metrics_file = metrics_file
        self.console = console
        self.interrupted = False
        self.trouble = ""
        """Why training was stopped, if its numbers went bad."""
        self.spoiled_from = 0
        """With trouble: the first step whose weights are not to be kept."""
        self.seconds_before = 0.0
        """Training time up to the checkpoint that this process resumed from, validation left out."""
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._bar = self.progress.add_task("training", note="")
        self._started = 0.0
        self._tokens_before = 0.0
        self._evaluating_s = 0.0
        self._health = Health()
        self._next_line = 0.1
        self._old_handler: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock and take over Ctrl-C."""
        self._started = time.monotonic()
        if state.global_step:
            self._continue(state)
        self.progress.update(self._bar, total=state.max_steps, completed=state.global_step)
        if self.console.is_terminal:
            self.progress.start()
        if threading.current_thread() is threading.main_thread():
            self._old_handler = signal.signal(signal.SIGINT, self._interrupt)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """The last step is always validated; after Ctrl-C save a checkpoint, then stop."""
        self.progress.update(self._bar, completed=state.global_step)
        if state.global_step >= state.max_steps:
            control.should_evaluate = True
        self.interrupted = any_of_us(self.interrupted)  # all stop after the same step
        if self.interrupted:
            control.should_save = True
            control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write the line and move the bar; stop where the numbers went bad."""
        logs = logs or {}
        line: dict[str, Any] = {"step": state.global_step, "epoch": state.epoch}
        elapsed = self.seconds_before + time.monotonic() - self._started - self._evaluating_s
        if "eval_loss" in logs:
            self._evaluating_s += logs.get("eval_runtime", 0.0)
            line["validation_loss"] = logs["eval_loss"]
            line["validation_token_accuracy"] = logs.get("eval_mean_token_accuracy")
            line |= {f"validation_{ours}": logs.get(f"eval_{theirs}") for theirs, ours in MEASURES.items()}
        elif "eval_reward" in logs:
            self._evaluating_s += logs.get("eval_runtime", 0.0)
            line["validation_reward"] = logs["eval_reward"]
        elif "loss" in logs:
            tokens = self._tokens_before + logs.get("num_tokens", 0.0)
            line |= {
                "loss": logs["loss"],
                "token_accuracy": logs.get("mean_token_accuracy"),
                "learning_rate": logs.get("learning_rate"),
                "gradient_norm": logs.get("grad_norm"),
                "tokens": tokens,
                "tokens_per_s": tokens / elapsed if elapsed > 0 else 0.0,
                "elapsed_s": elapsed,
            }
            line |= {ours: logs.get(theirs) for theirs, ours in MEASURES.items()}
        else:
            return
        line = {key: value for key, value in line.items() if value is not None}
        self._judge(line, control)
        if not is_first():
            return
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._show(line, state)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Give Ctrl-C back."""
        self.close()

    def close(self) -> None:
        """Stop the bar and give Ctrl-C back; safe to call twice."""
        self.progress.stop()
        if self._old_handler is not None:
            signal.signal(signal.SIGINT, self._old_handler)
            self._old_handler = None

    def _continue(self, state: TrainerState) -> None:
        """Take up tokens, seconds and losses where the checkpoint left them."""
        steps = [m for m in read_metrics(self.metrics_file) if "loss" in m and m["step"] <= state.global_step]
        for line in steps:
            self._health.remember(line["loss"])
        if steps:
            # Some trainers count on by themselves, in the state that they resume.
            self._tokens_before = steps[-1]["tokens"] - state.num_input_tokens_seen
            self.seconds_before = steps[-1]["elapsed_s"]

    def _judge(self, line: dict[str, Any], control: TrainerControl) -> None:
        """Stop where a loss is not finite or explodes; write no checkpoint as long as it looks so."""
        step = line["step"]
        if "loss" in line:
            # The loss of a policy gradient is no measure of anything: only that it is finite counts.
            self.trouble = self._health.judge(
                step, line["loss"], line.get("gradient_norm"), explodes="reward" not in line
            )
            self.spoiled_from = self._health.bad_since - 1  # those weights gave the first bad loss
        elif not math.isfinite(line.get("validation_loss", 0.0)):
            self.trouble = f"the validation loss is {line['validation_loss']} after step {step}"
            self.spoiled_from = step
        if self.trouble:
            control.should_training_stop = True
            control.should_evaluate = False
        if self.trouble or self._health.bad_since:
            control.should_save = False

    def _show(self, line: dict[str, Any], state: TrainerState) -> None:
        if "validation_loss" in line:
            text = f"  step {line['step']}: validation loss {line['validation_loss']:.3f}"
            if "validation_reward_margin" in line:
                text += f", reward margin {line['validation_reward_margin']:.2f}"
            self.console.print(text)
            return
        if "validation_reward" in line:
            self.console.print(f"  step {line['step']}: validation reward {line['validation_reward']:.3f}")
            return
        note = f"loss {line['loss']:.3f}, {line['tokens_per_s']:.0f} tokens/s"
        if "reward" in line:
            note = f"reward {line['reward']:.3f}, {note}"
        self.progress.update(self._bar, note=note)
        share = state.global_step / max(1, state.max_steps)
        if not self.console.is_terminal and share >= self._next_line:
            self._next_line = share + 0.1
            left = line["elapsed_s"] / max(share, 1e-9) * (1 - share)
            self.console.print(f"  step {line['step']}/{state.max_steps}: {note}, {left:.0f} s left")

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self.interrupted:  # the second Ctrl-C does not wait
            self.close()
            raise KeyboardInterrupt
        self.interrupted = True
        if is_first():
            print(
                "\nstopping after this step with a checkpoint (Ctrl-C again to stop at once)", file=sys.stderr
            )
