"""Writing the report in its three forms."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ta_eval.ab.analysis import sentence as people_sentence
from ta_eval.judge.words import facts, share
from ta_eval.judge.words import sentence as judge_sentence
from ta_eval.report.model import Report
from ta_eval.report.words import (
    family_span,
    headline,
    markdown_cell,
    markdown_fenced,
    p_value,
    percent,
    points,
    span,
    verdict_sentence,
)
from ta_schemas.reports import EvalReport

if TYPE_CHECKING:
    import jinja2


def write_report(report: EvalReport, folder: Path) -> None:
    """Write report.json, report.md and report.html; the HTML needs no other file and no network."""
    (folder / "report.json").write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for kind in ("md", "html"):
        (folder / f"report.{kind}").write_text(render(report, kind), encoding="utf-8")


def render(report: EvalReport, kind: str) -> str:
    """The report as `md` or `html`; what models and people wrote is escaped."""
    whole = Report.model_validate(report.model_dump())
    whole.verdict = whole.verdict or verdict_sentence(whole)
    return _environment(kind).get_template(f"report.{kind}.j2").render(report=whole)


@lru_cache
def _environment(kind: str) -> "jinja2.Environment":
    """Compiled templates are kept."""
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
        "share": share,
    }
    environment.globals |= {
        "headline": headline,
        "span": span,
        "family_span": family_span,
        "judge_sentence": judge_sentence,
        "judge_facts": facts,
        "people_sentence": people_sentence,
    }
    return environment
