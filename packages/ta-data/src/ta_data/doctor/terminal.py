"""The doctor's report for a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ta_data.card import funnel_rows
from ta_data.doctor.diagnose import Diagnosis

COLORS = {"block": "bold red", "warn": "yellow"}


def print_report(diagnosis: Diagnosis, console: Console) -> None:
    """Findings with examples and fixes, funnel, lengths, a preview of each source, the verdict."""
    console.print(
        f"{diagnosis.rows} rows in {diagnosis.source}: {diagnosis.splits}", markup=False, soft_wrap=True
    )
    for finding in diagnosis.findings:
        head = Text.assemble(
            (f"{finding.severity:<6}", COLORS[finding.severity]),
            (finding.check, "bold"),
            f"  {finding.count} rows ({finding.share:.1%}): {finding.means}",
        )
        console.print(head, soft_wrap=True)
        for example in finding.examples:
            if example["where"]:
                console.print(f"         {example['where']}  {example['what']}", markup=False, highlight=False)
        console.print(f"         to do: {finding.fix}", markup=False, style="dim")
    if diagnosis.funnel:
        table = Table(box=box.SIMPLE_HEAD, title="Funnel", title_justify="left")
        table.add_column("step")
        table.add_column("rows", justify="right")
        for name, count in funnel_rows(diagnosis.funnel):
            table.add_row(str(name), str(count))
        console.print(table)
        if not diagnosis.funnel["adds_up"]:
            console.print("the funnel does not add up to the rows that are there", style="bold red")
    if "total" in diagnosis.lengths:
        table = Table(box=box.SIMPLE_HEAD, title=f"Length in {diagnosis.lengths['unit']}", title_justify="left")
        for name in ("", "p50", "p95", "p99", "max"):
            table.add_column(name, justify="right" if name else "left")
        for part in ("prompt", "answer", "total"):
            q = diagnosis.lengths[part]
            table.add_row(part, *(str(q[name]) for name in ("p50", "p95", "p99", "max")))
        console.print(table)
    for preview in diagnosis.previews[:1]:
        console.print(
            f"as the model sees {preview.id} (trained part green), {diagnosis.template}:", style="dim"
        )
        console.print(Text.assemble(*((p.text, "green" if p.trained else "") for p in preview.parts)))
    for note in diagnosis.notes:
        console.print(note, style="dim", markup=False)
    verdict = diagnosis.as_json()["verdict"]
    console.print(verdict, style="bold red" if diagnosis.blocked else "bold")
