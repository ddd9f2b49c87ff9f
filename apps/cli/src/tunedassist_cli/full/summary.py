"""What a person reads at the end of the whole way."""

from typing import Any

from rich.console import Console
from rich.table import Table

from ta_schemas.reports import Comparison
from tunedassist_cli.full.pairs import in_words
from tunedassist_cli.full.run_all import Whole
from tunedassist_cli.full.worth import points, read_report
from tunedassist_cli.summary import peak_memory_gb


def as_dict(whole: Whole) -> dict[str, Any]:
    """For scripts."""
    steps = whole.way.steps
    artifacts = {
        "dataset": whole.way.first.dataset,
        "adapter": whole.way.first.adapter,
        "preferences": whole.preferences,
        "dpo": whole.preferred,
        "gguf": whole.gguf,
        "report": whole.report,
        "safety": whole.safety,
        **({"release": whole.release} if whole.release else {}),
    }
    return {
        **{name: {"path": str(one.path), "digest": one.digest} for name, one in artifacts.items()},
        "shipped": whole.shipped.name,
        "worth": {"paid": whole.worth.paid, "sentence": whole.worth.sentence},
        "systems": [row._asdict() for row in whole.worth.rows],
        "preference_pairs": whole.preferences.manifest.metrics,
        "dpo_against_tuned": _dpo(whole),
        "safety_metrics": whole.safety.manifest.metrics,
        "refused": str(whole.refused) if whole.refused else "",
        "seconds": {name: round(value, 1) for name, value in steps.seconds.items()},
        "skipped": sorted(steps.skipped),
        "peak_memory_gb": round(peak_memory_gb(), 2),
    }


def print_summary(whole: Whole) -> None:
    """The table, whether tuning paid, what preferences and attacks gave, where things are, what to do next."""
    console = Console(soft_wrap=True)  # paths and commands stay whole
    against = {c.candidate: c for c in read_report(whole.report).item_sets[0].comparisons}
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))  # fits 80 columns
    for heading in ("system", "right", "against base, points", "general", "s each", "min/1000"):
        table.add_column(heading, no_wrap=True)
    for row in whole.worth.rows:
        table.add_row(
            row.name,
            f"{row.right:.1%}",
            _short(against[row.name]) if row.name in against else "",
            "" if row.general is None else f"{row.general:.1%}",
            f"{row.alone_s:.2f}",
            f"{row.thousand_min:.1f}",
        )
    console.print(table)
    console.print(whole.worth.sentence, highlight=False)
    console.print(f"Preferences: {in_words(whole.preferences)}.", highlight=False)
    for name, difference in _dpo(whole).items():
        console.print(f"DPO on {name}: {difference} against the tuned model.", highlight=False)
    safety = whole.safety.manifest.metrics
    raw, guarded = safety["attack_success_raw"], safety["attack_success_guarded"]
    console.print(f"Attacks that succeed: {raw:.0%} raw, {guarded:.0%} behind the guard.", highlight=False)
    minutes = sum(whole.way.steps.seconds.values()) / 60
    console.print(
        f"\nmodel    {whole.gguf.path} ({whole.shipped.name})"
        f"\nreport   {whole.report.path / 'report.html'}"
        f"\nworth    {whole.way.folder / 'worth.md'}"
        f"\nattacks  {whole.safety.path / 'report.html'}"
        f"\nrelease  {whole.release.path if whole.release else 'none: the gate refuses it'}"
        f"\ntook     {minutes:.1f} minutes, {len(whole.way.steps.skipped)} of "
        f"{len(whole.way.steps.seconds)} steps were sealed already"
    )
    console.print(
        f"\nNext:\n  tunedassist chat {whole.gguf.path}"
        f"\n  tunedassist quant-study {whole.way.domain} --gguf {whole.gguf.path}",
        highlight=False,
    )


def _short(comparison: Comparison) -> str:
    d = comparison.difference
    return f"{100 * d.estimate:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})"


def _dpo(whole: Whole) -> dict[str, str]:
    """Item set: the model after DPO against the one before."""
    return {
        items.name: f"{points(items.comparisons[0])}, {items.comparisons[0].verdict}"
        for items in read_report(whole.dpo_report).item_sets
    }
