"""What a person reads at the end of a run."""

import json
import resource
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from ta_schemas.reports import EvalReport, Interval
from tunedassist_cli.pipeline import Result


def read_report(result: Result) -> EvalReport:
    """The report of the run."""
    return EvalReport.model_validate_json(result.report.file("report.json").read_text(encoding="utf-8"))


def as_dict(result: Result) -> dict[str, Any]:
    """For scripts."""
    report: dict[str, Any] = json.loads(read_report(result).model_dump_json())
    return {
        "dataset": {"path": str(result.dataset.path), "digest": result.dataset.digest},
        "adapter": {"path": str(result.adapter.path), "digest": result.adapter.digest},
        "report": {"path": str(result.report.path), "digest": result.report.digest},
        "item_sets": report["item_sets"],
        "headlines": result.report.manifest.metrics["headlines"],
        "seconds": {name: round(value, 1) for name, value in result.steps.seconds.items()},
        "peak_memory_gb": round(peak_memory_gb(), 2),
    }


def print_summary(result: Result) -> None:
    """The table, the sentence, where things are, what to do next."""
    console = Console(soft_wrap=True)  # paths and commands stay whole
    report = read_report(result)
    table = Table("item set", "items", "base", "tuned", "difference (95 % interval)", "verdict")
    for items in report.item_sets:
        base, tuned = items.systems[0], items.systems[1]
        comparison = items.comparisons[0]
        table.add_row(
            items.name,
            str(comparison.items),
            f"{base.accuracy.estimate:.1%}",
            f"{tuned.accuracy.estimate:.1%}",
            _points(comparison.difference),
            comparison.verdict,
        )
    console.print(table)
    for headline in result.report.manifest.metrics["headlines"]:
        console.print(headline)
    metrics = result.adapter.manifest.metrics
    console.print(metrics["fit"])
    adapter = result.adapter.path
    minutes = sum(result.steps.seconds.values()) / 60
    console.print(
        f"\nadapter  {adapter}\ncurves   {adapter / 'logs' / 'curves.png'}"
        f"\nreport   {result.report.path / 'report.html'}"
        f"\ntook     {minutes:.1f} minutes, {peak_memory_gb():.1f} GB of memory at most"
    )
    console.print(
        "\nNext:"
        f"\n  tunedassist chat {adapter}"
        f"\n  tunedassist train sft {result.dataset.path} --recipe cpu-smollm2-long --out runs/long/adapter"
        f"\n  tunedassist serve generate {adapter} --in questions.jsonl --out answers.jsonl",
        highlight=False,
    )


def peak_memory_gb() -> float:
    """The most this process ever held, in 10^9 bytes. Linux counts in KiB, macOS in bytes (getrusage(2))."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def _points(interval: Interval) -> str:
    return f"{interval.estimate * 100:+.1f} points ({interval.low * 100:+.1f} to {interval.high * 100:+.1f})"
