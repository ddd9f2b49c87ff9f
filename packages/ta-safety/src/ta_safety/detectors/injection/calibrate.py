"""The injection threshold for somebody's own traffic, from texts that are known to be harmless."""

from collections.abc import Sequence
from typing import NamedTuple, get_args

from ta_safety.detectors.injection.detect import Channel, detect, threshold
from ta_schemas.errors import InputError

LOWEST = 0.05
"""Below it the classifier's noise decides."""


class Calibration(NamedTuple):
    """The threshold of one channel; `blocked` of the `texts` reach it, `blocked_by_default` reach the
    shipped one."""

    channel: str
    texts: int
    threshold: float
    blocked: int
    blocked_by_default: int

    def told(self) -> str:
        """The lines for domain.yaml, with the evidence."""
        rail = "injection" if self.channel == "user" else "document"
        return (
            f"safety: {{rails: {{{rail}: {{threshold: {self.threshold:.3f}}}}}}}  "
            f"# blocks {self.blocked} of {self.texts} harmless texts, the default {self.blocked_by_default}"
        )


def calibrated(texts: Sequence[tuple[str, str]], refused: float) -> list[Calibration]:
    """The lowest threshold of each channel that blocks at most the share `refused` of its texts.

    Raises InputError with fewer texts than the share needs to be seen at all.
    """
    found = []
    for channel in get_args(Channel):
        scores = sorted(
            (detect(text, channel=channel).score for text, of in texts if of == channel), reverse=True
        )
        if not scores:
            continue
        allowed = int(refused * len(scores))
        if refused and not allowed:
            raise InputError(
                f"{len(scores)} texts of channel {channel}: {refused:g} of them is less than one: give more"
            )
        limit = max(LOWEST, min(1.0, scores[allowed] + 0.001) if allowed < len(scores) else LOWEST)
        found.append(
            Calibration(
                channel,
                len(scores),
                round(limit, 3),
                sum(score >= limit for score in scores),
                sum(score >= threshold(channel) for score in scores),
            )
        )
    if not found:
        raise InputError('no texts: one {"text": ...} a line is expected, with "channel" user or document')
    return found
