"""How many requests may be inside: those being answered and a bounded queue. The rest is turned away."""

import math
import time
from types import TracebackType
from typing import Self

from tunedassist_api.wire.errors import ApiError


class Admission:
    """Counts requests inside. Used from the event loop only."""

    def __init__(self, parallel: int, max_queue: int) -> None:
        self.limit = parallel + max_queue
        self.inside = 0
        self.draining = False
        self.mean_s = 1.0
        """Of the latest requests, from arrival to end."""

    def enter(self) -> "Place":
        """Take a place. Raises ApiError: 429 where there is none, 503 while the server stops."""
        if self.draining:
            raise ApiError(503, "the server is shutting down", code="closed", headers={"retry-after": "5"})
        if self.inside >= self.limit:
            # About when the queue will have moved by one round.
            wait_s = min(60, max(1, math.ceil(self.mean_s)))
            raise ApiError(
                429,
                f"the server is busy: {self.inside} requests inside, no more may wait",
                code="overloaded",
                headers={"retry-after": str(wait_s)},
            )
        self.inside += 1
        return Place(self)


class Place:
    """Held by a request until its engine is done, or until it ends for another reason."""

    def __init__(self, admission: Admission) -> None:
        self._admission, self._since, self._held = admission, time.monotonic(), True

    def leave(self) -> None:
        """Give it back; a second time changes nothing."""
        if self._held:
            self._held = False
            self._admission.inside -= 1
            self._admission.mean_s += 0.2 * (time.monotonic() - self._since - self._admission.mean_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
