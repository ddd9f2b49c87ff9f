"""The report's words and numbers: sentences that can be read aloud, points, p values, safe Markdown."""

import math
import re
from collections.abc import Sequence
from typing import Any

from ta_schemas.reports import Comparison, EvalReport, ItemSetReport


def verdict_sentence(report: EvalReport) -> str:
    """The whole report in a sentence or two: the main question, then what else was measured."""
    first, *others = report.item_sets
    best = best_of(first)
    count = len(first.comparisons)
    amount = f"by {_number(points(abs(best.difference.estimate)))} on {first.name} ({_limits(best)})"
    if best.verdict == "better":
        of = f", best of {count} candidates," if count > 1 else ""
        main = f"{_upper(best.candidate)}{of} is better than {best.baseline} {amount}"
    elif count > 1:
        main = f"None of {count} candidates is measurably better than {best.baseline} on {first.name}"
    elif best.verdict == "worse":
        main = f"{_upper(best.candidate)} is worse than {best.baseline} {amount}"
    else:
        main = (
            f"No measurable difference between {best.candidate} and {best.baseline} on {first.name} "
            f"({_number(points(best.difference.estimate))}, {_limits(best)})"
        )
    rest = [
        _aside(items.name, c) for items in others for c in items.comparisons if c.candidate == best.candidate
    ]
    return "; ".join([main, *rest]) + "."


def _taken_back(comparison: Comparison) -> bool:
    """Whether the interval leaves out zero and Holm's adjustment for several candidates does not allow it."""
    d = comparison.difference
    adjusted = getattr(comparison, "p_adjusted", 0.0)
    return comparison.verdict == "not measurable" and (d.low > 0 or d.high < 0) and adjusted >= 0.05


def best_of(items: ItemSetReport) -> Comparison:
    """The candidate the report speaks of: one that is better if there is any, of those the farthest ahead."""
    return max(items.comparisons, key=lambda c: (c.verdict == "better", c.difference.estimate))


def _aside(name: str, comparison: Comparison) -> str:
    if comparison.verdict == "worse":
        return (
            f"it lost {_number(points(-comparison.difference.estimate))} on the {name} ({_limits(comparison)})"
        )
    if comparison.verdict == "better":
        return (
            f"it gained {_number(points(comparison.difference.estimate))} on the {name} ({_limits(comparison)})"
        )
    if _taken_back(comparison) and comparison.difference.high < 0:
        amount = _number(points(-comparison.difference.estimate))
        return (
            f"perhaps it lost {amount} on the {name} ({_limits(comparison)}, but not after Holm's adjustment)"
        )
    at_most = points(max(0.0, -comparison.difference.low))
    return f"no measurable loss on the {name}, at most {_number(at_most)} ({_limits(comparison)})"


def headline(comparison: Comparison) -> str:
    """The sentence to read first: who beats whom, by how much, how sure."""
    name = _upper(comparison.candidate)
    d = comparison.difference
    test = getattr(comparison, "test", "McNemar")
    facts = f"n = {comparison.items}, {test} p {p_value(comparison.mcnemar_p)}"
    if comparison.verdict == "better":
        return (
            f"{name} beats {comparison.baseline} by {_number(points(d.estimate))} "
            f"(95 % interval {points(d.low)} to {points(d.high)}, {facts})."
        )
    if comparison.verdict == "worse":
        return (
            f"{name} loses to {comparison.baseline} by {_number(points(-d.estimate))} "
            f"(95 % interval {points(-d.high)} to {points(-d.low)}, {facts})."
        )
    if _taken_back(comparison):
        return (
            f"{name} differs from {comparison.baseline} by {_number(points(d.estimate))} (95 % interval "
            f"{points(d.low)} to {points(d.high)}, {facts}), but not after Holm's adjustment for the number of "
            f"candidates (p {p_value(getattr(comparison, 'p_adjusted', 1.0))}): not measurable."
        )
    return (
        f"No measurable difference between {comparison.candidate} and {comparison.baseline}: "
        f"{_number(points(d.estimate))} (95 % interval {points(d.low)} to {points(d.high)}, {facts}); "
        f"a difference below {points(comparison.minimum_detectable_effect)} points could well go unseen."
    )


def percent(share: float) -> str:
    """`0.125` as `12.5 %`."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference in percentage points: whole ones, tenths below one; with a real minus sign."""
    value = 100 * share
    text = f"{value:.1f}" if 0.05 <= abs(value) < 0.95 else f"{value:.0f}"
    return text.replace("-0", "0").replace("-", "−") if float(text) == 0 else text.replace("-", "−")


def p_value(p: float) -> str:
    """`< .001` or `= .042`."""
    if p < 0.001:
        return "< .001"
    digits = 3 if p < 0.1 else 2
    text = f"{p:.{digits}f}"
    return f"= {text}" if text.startswith("1") else f"= {text[1:]}"


def markdown_cell(text: str) -> str:
    """Safe inside a table cell or a heading: one line, no markup."""
    text = " ".join(text.split()).replace("\\", "\\\\").replace("&", "&amp;")
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    return re.sub(r"([|`*_\[\]])", r"\\\1", text)


def markdown_fenced(text: str) -> str:
    """A code block whose fence is longer than any inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _number(text: str) -> str:
    return f"{text} point" if text.lstrip("−") == "1" else f"{text} points"


def _limits(comparison: Comparison) -> str:
    return f"95 % interval {points(comparison.difference.low)} to {points(comparison.difference.high)}"


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]


def span(comparison: Comparison) -> float:
    """Half the width of the forest plot's axis: the farthest end of any interval, up to the next tenth."""
    by_category: dict[str, dict[str, Any]] = getattr(comparison, "by_category", {})
    ends = [abs(interval[end]) for interval in by_category.values() for end in ("low", "high")]
    return _axis([*ends, abs(comparison.difference.low), abs(comparison.difference.high)])


def family_span(comparisons: Sequence[Comparison]) -> float:
    """The same for the differences of several candidates."""
    return _axis([abs(end) for c in comparisons for end in (c.difference.low, c.difference.high)])


def _axis(ends: Sequence[float]) -> float:
    return max(0.1, min(1.0, math.ceil(10 * max(ends) - 1e-9) / 10))
