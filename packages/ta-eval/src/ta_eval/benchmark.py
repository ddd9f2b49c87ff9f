"""Reading a benchmark: every mistake in it is found, with file and line, before the first request."""

import difflib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from ta_eval import scorers
from ta_eval.item import Item
from ta_eval.scorers.multiple_choice import letters_for
from ta_schemas import InputError
from ta_schemas.jsonl import read_objects, to_row


class Benchmark(NamedTuple):
    """Items in file order; `digest` is the SHA-256 of the file."""

    name: str
    digest: str
    rows: list[Item]
    raw: bytes = b""
    """The file as it stands."""
    own: Mapping[str, str] = scorers.NONE
    """Scorers of the domain's own: name and place."""

    @property
    def categories(self) -> dict[str, int]:
        """Items per category, in order of appearance."""
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row.category] = counts.get(row.category, 0) + 1
        return counts


def read_benchmark(path: Path, *, domain: Path | None = None) -> Benchmark:
    """Read and check a benchmark file; rows may name the `scorers` of the domain.yaml `domain`.

    Raises InputError: `file:line: field: reason`.
    """
    path = Path(path)
    own = _scorers_of(domain)
    rows: list[Item] = []
    lines: dict[str, int] = {}
    for number, raw in read_objects(path):
        where = f"{path}:{number}"
        try:
            row = to_row(raw, Item)
        except msgspec.ValidationError as error:
            raise InputError(f"{where}: {error}") from None
        problem = problem_of(row, own)
        if problem:
            raise InputError(f"{where}: {problem}")
        if row.id in lines:
            raise InputError(f"{where}: id: {row.id!r} is on line {lines[row.id]} already")
        lines[row.id] = number
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: no items: expected one JSON object a line")
    raw_bytes = path.read_bytes()
    return Benchmark(path.stem, hashlib.sha256(raw_bytes).hexdigest(), rows, raw_bytes, own)


def _scorers_of(domain: Path | None) -> Mapping[str, str]:
    if domain is None:
        return scorers.NONE
    from ta_eval.scorers.own import read_scorers

    return read_scorers(domain)


def problem_of(row: Item, own: Mapping[str, str] = scorers.NONE) -> str:
    """What makes a row unusable (`field: reason`), or an empty string."""
    if not row.id or not row.category:
        return f"{'category' if row.id else 'id'}: is empty"
    if not row.messages or row.messages[-1].role != "user":
        return "messages: the last message must be the user's question"
    if row.scorer == "regex":
        return _pattern_problem(row.pattern)
    if row.scorer == "multiple_choice":
        return _choice_problem(row)
    if row.scorer == "json_schema":
        from ta_eval.scorers.json_schema import schema_problem

        return schema_problem(row.schema)
    if row.scorer in own:
        return ""
    if ":" in row.scorer:
        from ta_eval.scorers.own import problem_of_place

        return problem_of_place(row.scorer)
    if row.scorer not in scorers.NAMES:
        known = [*scorers.NAMES, *own]
        near = difflib.get_close_matches(row.scorer, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        return (
            f"scorer: unknown: {row.scorer!r}: {hint}; your own is my_module:function, or a name under "
            "`scorers:` of the domain.yaml that --domain names"
        )
    return _reference_problem(row)


def _reference_problem(row: Item) -> str:
    if not row.references:
        return f"references: scorer {row.scorer!r} needs at least one"
    if row.scorer in ("command", "command_execution"):
        from ta_eval.scorers.bash import canonical_forms

        bad = next((text for text in row.references if canonical_forms(text) is None), None)
        return f"references: not a command bash could parse: {bad!r}" if bad is not None else ""
    if row.scorer == "numeric":
        from ta_eval.scorers.numeric import chosen_number

        bad = next((text for text in row.references if chosen_number(text) is None), None)
        return f"references: no number: {bad!r}" if bad is not None else ""
    return "references: an empty one would match nothing" if not all(map(str.strip, row.references)) else ""


def _pattern_problem(pattern: str) -> str:
    if not pattern:
        return "pattern: scorer 'regex' needs one"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"pattern: not a regular expression: {error}"
    return ""


def _choice_problem(row: Item) -> str:
    if len(row.choices) < 2 or len(row.choices) > 26:
        return f"choices: expected 2 to 26, got {len(row.choices)}"
    if len(set(row.choices)) < len(row.choices):
        return "choices: one stands there twice"
    letters = letters_for(row.choices)
    if len(row.answer) != 1 or row.answer.upper() not in letters:
        return f"answer: {row.answer!r} is none of the letters {letters[0]} to {letters[-1]}"
    return ""
