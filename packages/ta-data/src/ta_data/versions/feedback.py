"""`ta-data feedback`: what people said of served answers becomes reviewed rows of the next dataset version.

Twice the same command: first it writes a review list (`review.py`), then, with the decisions in it, the new
version. A confirmed answer, a correction, or an attack that got through teaches something; a thumb down alone
does not say what is right.
"""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from ta_data.checks import Bad, Checker, Record
from ta_data.clean.decontaminate import Benchmarks
from ta_data.clean.keys import row_keys
from ta_data.clean.near import Texts
from ta_data.clean.parts import parts
from ta_data.clean.pii import TYPES, Masker
from ta_data.clean.scrub import scrub_row
from ta_data.pipe import Object, read_rows
from ta_data.versions.review import UNDECIDED, Decision
from ta_data.versions.version import Splits, lines_of, read_splits, write_version
from ta_schemas.artifact import Artifact
from ta_schemas.errors import InputError
from ta_schemas.jsonl import to_object, to_row
from ta_schemas.rows import AttemptRow, ConversationRow, FeedbackRow, Message


def candidates(
    events: Path, dataset: Artifact, benchmarks: list[Path]
) -> tuple[list[ConversationRow], dict[str, int]]:
    """Rows that the events give, scrubbed and new: against the dataset, the benchmarks and one another."""
    reasons: Counter[str] = Counter()
    held = Benchmarks(benchmarks) if benchmarks else None
    masker, checker = Masker(), Checker()
    fresh: list[Object] = []
    for placed in read_rows(events):
        if isinstance(placed, Bad):
            reasons[placed.reason] += 1
            continue
        made = from_event(placed.row, placed.where, str(dataset.manifest.config.get("refusal", "")))
        if isinstance(made, str):
            reasons[made] += 1
            continue
        row = scrub_row(to_object(made), frozenset(TYPES), masker)[0]
        fault = checker.fault(Record(placed.where, to_row(row, ConversationRow)))
        if fault:
            reasons[fault.reason] += 1
        elif held and (touch := held.touches(row)):
            reasons[f"benchmark: {touch.contact}"] += 1
        else:
            fresh.append(row)
    known = [to_object(row) for rows in read_splits(dataset).values() for row in rows]
    both = [*known, *fresh]
    texts = Texts(fields=2, threshold=0.8)
    for row in both:
        texts.add(parts(row))
    near = {n.row for n in texts.duplicates(lambda i, j: row_keys(both[i], ()) == row_keys(both[j], ()))}
    kept = [row for i, row in enumerate(both) if i >= len(known) and i not in near]
    reasons["near-duplicate"] += len(fresh) - len(kept)
    return [to_row(row, ConversationRow) for row in kept], {k: n for k, n in sorted(reasons.items()) if n}


def from_event(raw: Object, where: str, refusal: str) -> ConversationRow | str:
    """The row that an event teaches, or why it teaches none."""
    if {"probe", "messages", "output"} <= raw.keys():
        return _from_attack(raw, where, refusal)
    try:
        event = to_row({"id": where, **raw}, FeedbackRow)
    except msgspec.ValidationError:
        return "not a feedback event"
    if event.rating == "down" and not event.correction:
        return "thumb down without a correction"
    if not event.messages or event.messages[-1].role != "assistant":
        return "last turn not assistant"
    messages = event.messages
    if event.correction:
        messages = [*messages[:-1], Message(role="assistant", content=event.correction)]
    why = "correction" if event.correction else "confirmed"
    return ConversationRow(
        id=_name(messages), messages=messages, source=f"feedback:{event.id}", extra={"feedback": why}
    )


def _from_attack(raw: Object, where: str, refusal: str) -> ConversationRow | str:
    """An attack of ta-safety's `attempts.jsonl` that got through teaches the domain's refusal."""
    try:
        attack = to_row({"id": where, **raw}, AttemptRow)
    except msgspec.ValidationError:
        return "not a feedback event"
    if not attack.score:
        return "attack that failed"
    asked = (
        attack.messages[:-1] if attack.messages and attack.messages[-1].role == "assistant" else attack.messages
    )
    if not refusal:
        return "safety finding, and the dataset's domain has no refusal"
    messages = [*asked, Message(role="assistant", content=refusal)]
    return ConversationRow(
        id=_name(messages),
        messages=messages,
        kind="out-of-scope",
        source=f"attack:{attack.id}",
        extra={"feedback": f"safety finding: {attack.probe}"},
    )


def _name(messages: list[Message]) -> str:
    return f"feedback-{hashlib.sha256(msgspec.json.encode([m.content for m in messages])).hexdigest()[:12]}"


def merge(
    dataset: Artifact,
    rows: list[ConversationRow],
    decisions: dict[str, Decision],
    out: Path,
    *,
    replace: bool = False,
) -> dict[str, Any]:
    """A new version whose training rows include the accepted ones, as edited; old rows keep their splits."""
    masker, edited = Masker(), 0
    accepted: list[ConversationRow] = []
    for row in rows:
        decision = decisions.get(row.id, UNDECIDED)
        if decision.word != "accept":
            continue
        if decision.answer and decision.answer != row.messages[-1].content:
            edited += 1
            messages = [*row.messages[:-1], Message(role="assistant", content=decision.answer)]
            changed = msgspec.structs.replace(row, messages=messages, extra={**row.extra, "feedback": "edited"})
            row = to_row(scrub_row(to_object(changed), frozenset(TYPES), masker)[0], ConversationRow)
        accepted.append(row)
    counts = Counter(decisions.get(row.id, UNDECIDED).word or "undecided" for row in rows)
    if not accepted:
        raise InputError("no row is accepted: write accept into the decision column of the review list")
    splits: Splits = read_splits(dataset)
    splits["train"] = [*splits["train"], *accepted]
    kept = {name: list(lines_of(dataset, name)) for name in ("dropped.jsonl", "tombstones.jsonl")}
    artifact = write_version(
        dataset,
        splits,
        out,
        change={"feedback": len(accepted)},
        files={name: lines for name, lines in kept.items() if lines},
        replace=replace,
    )
    return {"path": str(out), "digest": artifact.digest, **dict(counts), "edited": edited}
