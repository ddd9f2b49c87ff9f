"""Whether a running training is still sane: its loss finite, and not far above what it was."""

import math
from collections import deque
from statistics import median

WINDOW = 50
"""Good steps whose median a loss is compared with."""
FIRST = 3
"""The highest loss of so many first steps is what the run started at."""
FACTOR, MARGIN = 2.0, 1.0
"""A step is bad when its loss is above FACTOR times the median plus MARGIN nats, and above the start: a
diverged model is worse than an untrained one, while a harder topic after an easy one is not."""
PATIENCE = 5
"""So many bad steps in a row are an explosion; fewer are hard batches."""


class Health:
    """Judges each step; remembers since when it looks bad."""

    def __init__(self) -> None:
        self.bad_since = 0
        """The first step of the present row of bad steps; 0: all is well."""
        self._first: list[float] = []
        self._good: deque[float] = deque(maxlen=WINDOW)

    def remember(self, loss: float) -> None:
        """Count a step as a good one, such as those of the run that is resumed."""
        if len(self._first) < FIRST:
            self._first.append(loss)
        self._good.append(loss)

    def judge(
        self, step: int, loss: float, gradient_norm: float | None = None, *, explodes: bool = True
    ) -> str:
        """What is wrong after this step, in words; an empty string as long as training may go on.

        Without `explodes` a finite loss is good, however high.
        """
        for what, value in (("loss", loss), ("gradient norm", gradient_norm)):
            if value is not None and not math.isfinite(value):
                self.bad_since = self.bad_since or step
                return f"the {what} is {value} at step {step}"
        if not explodes or loss <= self._limit():
            self.bad_since = 0
            self.remember(loss)
            return ""
        self.bad_since = self.bad_since or step
        if step - self.bad_since + 1 < PATIENCE:
            return ""
        return (
            f"the loss is {loss:.3f} at step {step} and has been above {self._limit():.3f} since step "
            f"{self.bad_since} ({FACTOR:g} times its median plus {MARGIN:g}, and above its start)"
        )

    def _limit(self) -> float:
        if len(self._first) < FIRST:
            return math.inf
        return max(FACTOR * median(self._good) + MARGIN, *self._first)
