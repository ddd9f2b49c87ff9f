"""What a running training shows and writes: progress bar, `metrics.jsonl`, a clean stop on Ctrl-C."""

import json
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


class RunLog(TrainerCallback):  # type: ignore[misc]
    """Follows a `Trainer`: one line in `metrics.jsonl` for each step and each validation."""

    def __init__(self, metrics_file: Path, console: Console) -> None:
        self.metrics_file = metrics_file
        self.console = console
        self.interrupted = False
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
        self._tokens_at_start = 0.0
        self._evaluating_s = 0.0
        self._next_line = 0.1
        self._old_handler: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock and take over Ctrl-C."""
        self._started = time.monotonic()
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
        """Write the line and move the bar."""
        logs = logs or {}
        line: dict[str, Any] = {"step": state.global_step, "epoch": state.epoch}
        elapsed = time.monotonic() - self._started - self._evaluating_s
        if "eval_loss" in logs:
            self._evaluating_s += logs.get("eval_runtime", 0.0)
            line["validation_loss"] = logs["eval_loss"]
            line["validation_token_accuracy"] = logs.get("eval_mean_token_accuracy")
        elif "loss" in logs:
            tokens = logs.get("num_tokens", 0.0)
            line |= {
                "loss": logs["loss"],
                "token_accuracy": logs.get("mean_token_accuracy"),
                "learning_rate": logs.get("learning_rate"),
                "gradient_norm": logs.get("grad_norm"),
                "tokens": tokens,
                "tokens_per_s": tokens / elapsed if elapsed > 0 else 0.0,
                "elapsed_s": elapsed,
            }
        else:
            return
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({k: v for k, v in line.items() if v is not None}) + "\n")
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

    def _show(self, line: dict[str, Any], state: TrainerState) -> None:
        if "validation_loss" in line:
            self.console.print(f"  step {line['step']}: validation loss {line['validation_loss']:.3f}")
            return
        note = f"loss {line['loss']:.3f}, {line['tokens_per_s']:.0f} tokens/s"
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
        print("\nstopping after this step with a checkpoint (Ctrl-C again to stop at once)", file=sys.stderr)
