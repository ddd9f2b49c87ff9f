"""The doctor's report as one HTML page that needs nothing else."""

from html import escape
from typing import Any

from ta_data.card import funnel_rows
from ta_data.doctor.diagnose import Diagnosis, Preview
from ta_data.doctor.origin import render_origin

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top;
  overflow-wrap: anywhere }
td.n, th.n { text-align: right; white-space: nowrap; width: 1% } td.k { white-space: nowrap; width: 1% }
.block { color: #a40000; font-weight: 600 } .warn { color: #8a5a00 }
.verdict { font-size: 1.2rem; padding: .6rem 1rem; border-left: .4rem solid #2e7d32; background: #f4f8f4 }
.verdict.warnings { border-color: #c98a00; background: #fdf8ec } .verdict.blocked { border-color: #a40000;
  background: #fcf0f0 }
.bar { background: #4a7ab5; height: .8rem } pre { white-space: pre-wrap; background: #f6f6f6; padding: .8rem;
  max-height: 20rem; overflow: auto }
mark { background: #c9ecc9 } small { color: #666 }
details { margin: .5rem 0 1.5rem } summary { cursor: pointer }
"""
VERDICT = {
    "blocked": "Blocked: training on this would fail, leak or mislead.",
    "warnings": "Can be trained on; look at the warnings.",
    "healthy": "Nothing found.",
}


def render_html(diagnosis: Diagnosis) -> str:
    """The whole page."""
    verdict = diagnosis.as_json()["verdict"]
    splits = ", ".join(f"{name} {count:,}" for name, count in diagnosis.splits.items())
    parts = [
        f"<h1>{escape(diagnosis.source)}</h1>",
        f'<p class="verdict {verdict}">{VERDICT[verdict]}</p>',
        f"<p>{diagnosis.rows:,} rows: {escape(splits)}</p>",
        *_findings(diagnosis.as_json()["findings"]),
        *render_origin(diagnosis.origin),
        *_funnel(diagnosis.funnel),
        *_lengths(diagnosis.lengths),
        f"<h2>As the model sees it</h2><p>Template: {escape(diagnosis.template)}. "
        "<mark>Marked</mark> is what the loss is computed on.</p>",
        *(_preview(preview) for preview in diagnosis.previews),
        *(f"<p><small>{escape(note)}</small></p>" for note in diagnosis.notes),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(diagnosis.source)}: dataset report</title><style>{STYLE}</style>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _findings(findings: list[dict[str, Any]]) -> list[str]:
    if not findings:
        return []
    rows = []
    for f in findings:
        examples = "".join(
            f"<br><small>{escape(e['where'])}: {escape(e['what'])}</small>" for e in f["examples"] if e["where"]
        )
        rows.append(
            f'<tr><td class="k {f["severity"]}">{f["severity"]}</td><td><b>{f["check"]}</b>: '
            f'{escape(f["means"])}{examples}</td><td class="n">{f["count"]:,}</td>'
            f'<td class="n">{f["share"]:.1%}</td>'
            f"<td>{escape(f['fix'])}</td></tr>"
        )
    head = (
        '<tr><th></th><th>finding</th><th class="n">rows</th><th class="n">share</th><th>what to do</th></tr>'
    )
    return ["<h2>Findings</h2>", f"<table>{head}{''.join(rows)}</table>"]


def _funnel(funnel: dict[str, Any]) -> list[str]:
    if not funnel:
        return []
    rows = "".join(
        f'<tr><td>{escape(str(name))}</td><td class="n">{count:,}</td></tr>'
        for name, count in funnel_rows(funnel)
    )
    sums = "It adds up." if funnel["adds_up"] else '<span class="block">It does not add up.</span>'
    if silent := funnel["drops"].get("document without a question"):
        sums += (
            f" {silent:,} documents (pages, files) hold no question and answer as they stand: "
            "<code>ta-data augment</code> has a teacher write some."
        )
    return ["<h2>What became of every row</h2>", f"<table>{rows}</table><p>{sums}</p>"]


def _lengths(lengths: dict[str, Any]) -> list[str]:
    if "total" not in lengths:
        return []
    unit = lengths["unit"]
    out = [f"<h2>Length in {unit}</h2>"]
    for part in ("prompt", "answer", "total"):
        q = lengths[part]
        most = max(q["histogram"].values())
        bars = "".join(
            f'<tr><td class="n">{bin}</td><td class="n">{count}</td>'
            f'<td style="width:70%"><div class="bar" style="width:{100 * count / most:.1f}%"></div></td></tr>'
            for bin, count in q["histogram"].items()
        )
        text = f"p50 {q['p50']}, p95 {q['p95']}, p99 {q['p99']}, max {q['max']}"
        out.append(f"<p><b>{part}</b>: {text}</p><table>{bars}</table>")
    return [*out, f"<p>One epoch: {lengths['sum']:,} {unit}; the limit is {lengths['max_tokens']:,}.</p>"]


def _preview(preview: Preview) -> str:
    text = "".join(f"<mark>{escape(p.text)}</mark>" if p.trained else escape(p.text) for p in preview.parts)
    return f"<p><b>{escape(preview.source)}</b> <small>{escape(preview.id)}</small></p><pre>{text}</pre>"
