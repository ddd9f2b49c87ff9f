"""`ta-data pii`: find personal data and secrets in every text; mask them, drop the row or only tell."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from ta_data.checks import Bad
from ta_data.clean.pii import SECRETS, Masker, Span, find_pii
from ta_data.pipe import Left, Object, Out, read_rows

Action = Literal["mask", "drop", "report"]
SKIPPED_KEYS = frozenset({"id", "source", "license", "role", "group", "task", "kind", "synthetic"})


def scrub(
    source: Path,
    out: Path | None,
    *,
    action: Action = "mask",
    types: frozenset[str],
    spans: Path | None = None,
    dropped: Path | None = None,
) -> dict[str, Any]:
    """Write the rows, masked, and give counts by type.

    `spans` gets a line a finding: id, field, type, start, end. The spans never hold the value itself.
    """
    masker = Masker()
    found: Counter[str] = Counter()
    rows_with: Counter[str] = Counter()
    read = 0
    with Out(out) as kept, Left(dropped) as left, ExitStack() as stack:
        told = stack.enter_context(Out(spans)) if spans else None
        for placed in read_rows(source):
            read += 1
            if isinstance(placed, Bad):
                left.bad(placed)
                continue
            clean, hits = scrub_row(placed.row, types, masker)
            row_id = str(placed.row.get("id") or placed.where)
            found.update(span.type for _, span in hits)
            rows_with.update({span.type for _, span in hits})
            if told is not None:
                for field, span in hits:
                    told.write({"id": row_id, "field": field, **span._asdict()})
            if hits and action == "drop":
                kinds = sorted({span.type for _, span in hits})
                reason = "secret" if SECRETS & set(kinds) else "personal data"
                left.row(placed, reason, ", ".join(kinds))
            else:
                kept.write(clean if action == "mask" else placed.row)
    return {
        **left.summary(read),
        "action": action,
        "spans": dict(sorted(found.items())),
        "rows_with": dict(sorted(rows_with.items())),
    }


def scrub_row(row: Object, types: frozenset[str], masker: Masker) -> tuple[Object, list[tuple[str, Span]]]:
    """The row with every finding masked, and the findings with the path of their field."""
    hits: list[tuple[str, Span]] = []

    def clean(value: Any, path: str) -> Any:
        if isinstance(value, str):
            spans = find_pii(value, types)
            hits.extend((path, span) for span in spans)
            return masker.mask(value, spans) if spans else value
        if isinstance(value, dict):
            return {
                key: v if key in SKIPPED_KEYS else clean(v, f"{path}.{key}" if path else key)
                for key, v in value.items()
            }
        if isinstance(value, list):
            return [clean(v, f"{path}[{i}]") for i, v in enumerate(value)]
        return value

    return clean(row, ""), hits
