"""Before a run: what can so many items show, and how many are needed?"""

import math
from statistics import NormalDist

DISCORDANT_SHARES = (0.1, 0.2, 0.3)
"""Planning values: share of items on which two systems disagree."""


def minimum_detectable_effect(n: int, discordant: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest paired difference found with `power` at two-sided `alpha`, from the share of discordant items.

    Connor 1987, Biometrics 43, solved for the difference. Where it comes out above `discordant` no difference
    can be detected: it cannot exceed that share.
    """
    if n < 1:
        return 1.0
    return min(1.0, _z_sum(power, alpha) * math.sqrt(discordant / n))


def sample_size(effect: float, discordant: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Items needed to find a paired difference `effect`, the reverse of minimum_detectable_effect."""
    if not 0 < effect <= 1:
        raise ValueError(f"effect {effect}: expected a difference above 0, at most 1")
    return math.ceil((_z_sum(power, alpha) / effect) ** 2 * max(discordant, effect) - 1e-9)


def _z_sum(power: float, alpha: float) -> float:
    z = NormalDist().inv_cdf
    return z(1 - alpha / 2) + z(power)
