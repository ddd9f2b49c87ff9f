"""The announced time, corrected by the first steps."""

import time
from typing import Any

from rich.console import Console
from transformers import TrainerCallback

from ta_train.estimate.duration import in_words
from ta_train.estimate.estimate import Estimate
from ta_train.estimate.probe import STEPS


class TimeCheck(TrainerCallback):  # type: ignore[misc]
    """After 20 steps says how fast they went, and what is left by the operations of the steps to come."""

    def __init__(self, found: Estimate, console: Console) -> None:
        self.found = found
        self.console = console
        self._seconds: list[float] = []
        self._started = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock: validations and checkpoints lie between the steps."""
        self._started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop it; speak once."""
        if len(self._seconds) == STEPS:
            return
        self._seconds.append(time.monotonic() - self._started)
        if len(self._seconds) == STEPS and state.global_step < state.max_steps:
            seconds = sum(self._seconds[1:])  # the first step also warms up
            done = range(state.global_step - STEPS + 1, state.global_step)
            operations = self.found.operations
            rate = sum(operations.steps[step] for step in done) / seconds
            left = (sum(operations.steps[state.global_step :]) + operations.besides) / rate
            tokens = sum(self.found.work.tokens(step) for step in done)
            self.console.print(
                f"  after {STEPS} steps: {tokens / seconds:.0f} tokens/s, about {in_words(left)} left"
            )
