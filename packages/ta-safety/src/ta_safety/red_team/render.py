"""The report as Markdown and as one HTML file without outside parts."""

from pathlib import Path
from typing import TYPE_CHECKING

from ta_safety.stats import percent

if TYPE_CHECKING:
    from ta_safety.red_team.report import Rates, SafetyReport

TEMPLATE = Path(__file__).with_name("report.html.jinja")


def html(report: "SafetyReport") -> str:
    """One self-contained page; all that came from a model or a user is escaped."""
    import jinja2

    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    return page.render(
        r=report,
        pct=percent,
        styles=list(dict.fromkeys(cell["style"] for cell in report.heat_map)),
        cells={(cell["scenario"], cell["style"]): cell for cell in report.heat_map},
    )


def markdown(report: "SafetyReport") -> str:
    """The same in short."""
    lines = [
        f"# {report.title}", "",
        f"- attacks that succeed on the bare assistant: {percent(report.total.raw)} of {report.total.attempts}",
        f"- behind the guard: {percent(report.total.guarded)}",
        f"- harmless conversations refused: {percent(report.harmless.refused)} "
        f"of {report.harmless.conversations}",
        "", "| part | attacks | raw | guarded |", "| --- | ---: | ---: | ---: |",
        *(_line(rates) for rates in [*report.by_owasp, *report.by_style]),
        "", "| scenario | risk | severity | expected | raw | guarded | judged by |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {x.title} | {x.owasp} | {x.severity} | {x.expected} | {x.raw} | {x.guarded} | {x.judged_by} |"
            for x in report.sheet
        ),
        *([f"\nA judge, of what the detectors let pass: {report.judged}"] if report.judged else []),
        "", "Not covered:", "", *(f"- {text}" for text in report.not_covered),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _line(rates: "Rates") -> str:
    return f"| {rates.name} | {rates.attempts} | {percent(rates.raw)} | {percent(rates.guarded)} |"
