"""Token buckets: so many requests a minute for each caller, in bursts of as many."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

_MOST_CALLERS = 10_000  # without keys callers are addresses: the ones seen longest ago are forgotten


class Taken(NamedTuple):
    """Whether a request may pass, and what is left."""

    ok: bool
    remaining: int
    retry_after_s: int


class RateLimit:
    """One bucket for each caller. Used from the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, per_minute: int) -> Taken:
        """Take one of `per_minute` (at least 1)."""
        now = self._clock()
        level, then = self._buckets.pop(caller, (float(per_minute), now))
        level = min(float(per_minute), level + (now - then) * per_minute / 60)
        ok = level >= 1
        if ok:
            level -= 1
        self._buckets[caller] = (level, now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        wait = 0 if ok else math.ceil((1 - level) * 60 / per_minute)
        return Taken(ok, int(level), max(1, wait) if not ok else 0)
