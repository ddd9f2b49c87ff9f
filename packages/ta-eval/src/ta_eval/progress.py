"""What a person sees while a run goes on; all of it on stderr, so that stdout stays for results."""

import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from ta_eval.limits import Limits
from ta_eval.target import Failure, Reply


def say(text: str) -> None:
    """A line on stderr, as it is: no markup, no wrapping."""
    print(text, file=sys.stderr)


class Progress:
    """Items done, tokens per second, cost where prices are known, time left, items that failed."""

    def __init__(self, name: str, *, total: int, done: int, limits: Limits) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self.limits = limits
        self.started = time.monotonic()
        self.tokens = 0
        self.failed = 0
        self.bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task(name, total=total, completed=done, note="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the bar as it stands."""
        self.bar.stop()

    def advance(self, replies: Iterable[Reply | Failure]) -> None:
        """Count finished items."""
        replies = list(replies)
        self.tokens += sum(reply.completion_tokens for reply in replies if isinstance(reply, Reply))
        self.failed += sum(isinstance(reply, Failure) for reply in replies)
        speed = self.tokens / max(time.monotonic() - self.started, 1e-6)
        note = f"{speed:.0f} tokens/s" + (f", {self.failed} failed" if self.failed else "")
        note += f", {self.limits.spent:.4f} USD" if self.limits.spent else ""
        self.bar.update(self.task, advance=len(replies), note=note)
