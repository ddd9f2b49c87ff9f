"""Running rails: timed, and closed on failure. A rail that breaks blocks, since nobody knows what it would
have said."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ta_safety.detectors.match import Match
from ta_safety.events import ACTIONS, Action, RailEvent, Stage
from ta_safety.policy import Rail, RailPolicy


class Found(NamedTuple):
    """What a rail's detector says: matches, and what it would do by itself."""

    matches: Sequence[Match]
    threshold: float
    suggested: Action | None = None
    """`warn` keeps a rail that may block from blocking; None: as the policy says."""


Detector = Callable[[], Found]


def run_rail(rail: Rail, stage: Stage, policy: RailPolicy, detector: Detector) -> list[RailEvent]:
    """The events of one rail. Always at least one, so that a reader sees that it ran and how long it took."""
    began = time.perf_counter()
    try:
        found = detector()
    except Exception as error:  # noqa: BLE001  # fail closed, whatever broke; the reason says what
        ms = 1e3 * (time.perf_counter() - began)
        reason = f"the rail failed, so nothing passes: {type(error).__name__}: {error}"
        return [RailEvent(rail, stage, "block", 1.0, 0.0, reason, (0, 0), ms)]
    ms = 1e3 * (time.perf_counter() - began)
    threshold = found.threshold if policy.threshold is None else policy.threshold
    events = []
    for match in found.matches:
        action: Action = "allow"
        if match.score >= threshold:
            allowed: Action = "allow" if policy.action is None or policy.action == "off" else policy.action
            action = min(allowed, found.suggested or allowed, key=ACTIONS.index)
        events.append(
            RailEvent(
                rail,
                stage,
                action,
                match.score,
                threshold,
                match.reason,
                (match.start, match.end),
                ms,
                match.kind,
            )
        )
    return events or [RailEvent(rail, stage, "allow", 0.0, threshold, "", (0, 0), ms)]
