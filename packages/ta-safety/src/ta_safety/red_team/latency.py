"""How long the rails took, as a picture. It stands in logs/, since times differ from run to run."""

import itertools
from collections.abc import Sequence

from ta_safety.stats import percentile

EDGES = (1, 2, 5, 10, 20, 50, 100)
"""Milliseconds."""

_STYLE = (
    "text { font: 12px system-ui, sans-serif; fill: #1c2733; } rect { fill: #4a7fb5; } "
    "@media (prefers-color-scheme: dark) { text { fill: #e3e9ef; } rect { fill: #6ea3d8; } }"
)


def rail_ms(times: Sequence[float]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    return {f"rail_ms_p{share}": round(percentile(list(times), share / 100), 3) for share in (50, 95)}


def latency_svg(times: Sequence[float]) -> str:
    """Counts by class of milliseconds, with the percentiles above."""
    found = rail_ms(times)
    names = [f"under {EDGES[0]}", *(f"{a}–{b}" for a, b in itertools.pairwise(EDGES)), f"from {EDGES[-1]}"]
    counts = [0] * len(names)
    for time in times:
        counts[sum(time >= edge for edge in EDGES)] += 1
    most = max(1, *counts)
    bars = ""
    for number, (count, name) in enumerate(zip(counts, names, strict=True)):
        left, height = 70 * number + 10, round(100 * count / most)
        bars += (
            f'<rect x="{left}" y="{150 - height}" width="50" height="{height}" rx="2"/>'
            f'<text x="{left + 25}" y="{144 - height}" text-anchor="middle">{count or ""}</text>'
            f'<text x="{left + 25}" y="168" text-anchor="middle">{name}</text>'
        )
    title = (
        f"All rails of an attack together: p50 {found['rail_ms_p50']:.1f} ms, p95 {found['rail_ms_p95']:.1f} ms"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{70 * len(names) + 40}" height="190" role="img">'
        f'<title>{title}</title><style>{_STYLE}</style><text x="10" y="18">{title}</text>{bars}'
        f'<text x="10" y="187">milliseconds, number of attacks</text></svg>\n'
    )
