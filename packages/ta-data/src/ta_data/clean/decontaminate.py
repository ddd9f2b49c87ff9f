"""`ta-data decontaminate`: drop rows that touch a benchmark, by a union of tests, each reported by its name.

Exact, 8-gram, Jaccard and equal answer, as in `disjoint.py`, against benchmarks of any origin. 13-grams
alone, the usual default, find 30 of the 224 prompts of InterCode in NL2Bash, from which they were made.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from ta_data.checks import Bad
from ta_data.clean.parts import parts
from ta_data.disjoint import Held, Touch, normalised
from ta_data.pipe import Left, Object, Out, read_rows
from ta_schemas.errors import InputError
from ta_schemas.rows import BenchmarkRow, ConversationRow, Message

MIN_ANSWER_WORDS = 3
"""`yes`, `42` or `rm file` as an equal answer says nothing."""


class Benchmarks:
    """Held-out items of any origin: ours, question/answer, prompt/completion, messages.

    `refusal` is the domain's answer to all that is out of scope: that it is equal says nothing.
    """

    def __init__(self, files: list[Path], *, refusal: str = "") -> None:
        items: list[BenchmarkRow] = []
        self._answers: dict[str, str] = {}
        for file in files:
            before = len(items)
            for placed in read_rows(file):
                if isinstance(placed, Bad):
                    raise InputError(f"{file}: {placed.where}: {placed.detail}")
                item = benchmark_item(placed.row, f"{file.name}:{placed.where.rpartition(':')[2]}")
                item.references = [r for r in item.references if normalised(r) != normalised(refusal)]
                if item.messages:
                    items.append(item)
                    for reference in item.references:
                        self._answers.setdefault(normalised(reference), item.id)
            if len(items) == before:
                raise InputError(f"{file}: no question in it: expected messages, question or prompt")
        self._held = Held(items)

    def touches(self, row: Object) -> Touch | None:
        """The first contact of a row of any origin, surest test first."""
        conversation = as_conversation(row)
        touch = self._held.touches(conversation)
        for message in conversation.messages if touch is None else ():
            item = self._answers.get(normalised(message.content)) if message.role == "assistant" else None
            if item:
                return Touch("answer", item)
        return touch


def benchmark_item(row: Object, name: str) -> BenchmarkRow:
    """A row of any origin as a held-out item; its answers are references where they are long enough."""
    prompt, answer = parts(row)
    listed = row.get("references")
    references = [str(r) for r in listed] if isinstance(listed, list) else []
    if prompt:
        references.append(answer)
    else:
        prompt = next((str(row[k]) for k in ("question", "prompt", "query", "text") if row.get(k)), "")
        references += [str(row[k]) for k in ("answer", "gold", "reference", "output") if row.get(k)]
    return BenchmarkRow(
        id=str(row.get("id") or name),
        category="",
        messages=[Message(role="user", content=prompt)] if prompt.strip() else [],
        scorer="command",
        references=[r for r in references if len(r.split()) >= MIN_ANSWER_WORDS],
    )


def decontaminate(
    source: Path, benchmarks: list[Path], out: Path | None, *, dropped: Path | None = None
) -> dict[str, Any]:
    """Write the rows that touch no held-out item; give the summary with the contacts by test and by item."""
    held = Benchmarks(benchmarks)
    touched: Counter[str] = Counter()
    read = 0
    with Out(out) as kept, Left(dropped) as left:
        for placed in read_rows(source):
            read += 1
            if isinstance(placed, Bad):
                left.bad(placed)
            elif touch := held.touches(placed.row):
                touched[touch.held_id] += 1
                left.row(placed, f"benchmark: {touch.contact}", f"touches {touch.held_id}", of=touch.held_id)
            else:
                kept.write(placed.row)
    items = {"items_touched": len(touched), "most_touched": dict(touched.most_common(5))}
    return {**left.summary(read), **items}


def as_conversation(row: Object) -> ConversationRow:
    """What is compared: every user turn and every answer; a document counts as both."""
    turns = row.get("messages")
    if isinstance(turns, list):
        said = [(t.get("role"), t.get("content")) for t in turns if isinstance(t, dict)]
        pairs = [(role, text) for role, text in said if role in ("user", "assistant") and isinstance(text, str)]
    else:
        prompt, answer = parts(row)
        pairs = [("user", prompt or answer), ("assistant", answer)]
    return ConversationRow(id="", messages=[Message(role=role, content=text) for role, text in pairs])
