"""The report of a comparison: JSON for programs, Markdown for a repository, one HTML file for people."""

import re
from pathlib import Path
from typing import Any

from ta_schemas.reports import Comparison, EvalReport


def write_report(report: EvalReport, folder: Path) -> None:
    """Write report.json, report.md and report.html; the HTML needs no other file and no network."""
    (folder / "report.json").write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for kind in ("md", "html"):
        (folder / f"report.{kind}").write_text(render(report, kind), encoding="utf-8")


def render(report: EvalReport, kind: str) -> str:
    """The report as `md` or `html`; what models and people wrote is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ta_eval", "templates"),
        autoescape=kind == "html",
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": percent,
        "points": points,
        "p": p_value,
        "cell": markdown_cell,
        "fenced": markdown_fenced,
    }
    environment.globals |= {"headline": headline, "span": _span}
    return environment.get_template(f"report.{kind}.j2").render(report=report)


def headline(comparison: Comparison) -> str:
    """The sentence to read first: who beats whom, by how much, how sure."""
    name = comparison.candidate[:1].upper() + comparison.candidate[1:]
    d = comparison.difference
    facts = f"n = {comparison.items}, McNemar p {p_value(comparison.mcnemar_p)}"
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


def _span(comparison: dict[str, Any] | Comparison) -> float:
    """Half the width of the forest plot's axis: the farthest end of any interval, up to the next tenth."""
    extra = getattr(comparison, "by_category", {})
    ends = [abs(interval[end]) for interval in extra.values() for end in ("low", "high")]
    difference = getattr(comparison, "difference", None)
    ends += [abs(difference.low), abs(difference.high)] if difference else []
    return min(1.0, -(-max(ends, default=0.1) * 10 // 1) / 10) or 0.1
