"""What was exported and compared, for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ta_serve.export.histogram import Tensors


def export_lines(out: Path, metrics: Mapping[str, Any]) -> list[str]:
    """Files with their tensor types, what must be told, the verdict."""
    lines = [str(out)]
    for name, file in metrics["files"].items():
        tensors = Tensors(file["types"], file["bits_per_weight"], file["fell_back"])
        lines.append(f"  {name}  {file['size_bytes'] / 2**20:.1f} MiB")
        lines += [f"    {line}" for line in tensors.lines()]
    lines += [f"note: {note}" for note in metrics["notes"]]
    if metrics["parity"].get("skipped"):
        return [*lines, "parity: SKIPPED: nobody has checked that these files are the model that was measured"]
    return [*lines, *parity_lines(metrics["parity"])]


def parity_lines(parity: Mapping[str, Any]) -> list[str]:
    """A line a side."""
    lines = [f"parity over {parity['chats']} conversations:"]
    for verdict in parity["verdicts"]:
        compared = verdict.get("compared") or parity["chats"]  # not in manifests of before November 2026
        parts = [f"{verdict['prompts']} of {compared} prompts the same"]
        if verdict["same_answers"] is not None:
            parts.append(f"{verdict['same_answers']} answers the same")
        if verdict["agreement"] is not None:
            parts.append(f"{verdict['agreement']:.1%} of tokens, worst gap {verdict['worst_gap']:.3f} logits")
        lines.append(f"  {'ok  ' if verdict['ok'] else 'FAIL'} {verdict['side']}: {', '.join(parts)}")
        if verdict["difference"]:
            lines.append(f"       {verdict['difference']}")
    return lines
