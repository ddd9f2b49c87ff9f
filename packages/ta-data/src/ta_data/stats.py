"""Counts for `stats.json`: splits, kinds, and how long prompts and answers are."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ta_data.checks import Record
from ta_data.places import file_of
from ta_data.split import SPLITS
from ta_schemas.errors import InputError
from ta_schemas.rows import ConversationRow, Split

TOKENIZER_NAME = "tokenizer.json"
BATCH_ROWS = 1000

CountTexts = Callable[[Sequence[str]], list[int]]


class Counting(NamedTuple):
    """How texts are measured."""

    unit: str
    """`tokens`, or `words` where no tokenizer was given."""
    digest: str | None
    """`sha256:…` of the tokenizer.json."""
    measure: CountTexts


def load_counting(tokenizer: Path | None) -> Counting:
    """Count with a tokenizer.json (or a folder that holds one), else count words."""
    if tokenizer is None:
        return Counting("words", None, lambda texts: [len(text.split()) for text in texts])
    file = tokenizer / TOKENIZER_NAME if tokenizer.is_dir() else tokenizer
    if not file.is_file():
        raise InputError(f"{file}: no such file: --tokenizer takes a tokenizer.json or a folder with one")
    from tokenizers import Tokenizer

    raw = file.read_bytes()
    try:
        loaded = Tokenizer.from_buffer(raw)
    except Exception as error:  # noqa: BLE001  tokenizers raises bare Exception
        raise InputError(f"{file}: not a tokenizer of the tokenizers library: {error}") from None
    loaded.no_truncation()
    loaded.no_padding()

    def measure(texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in loaded.encode_batch(list(texts), add_special_tokens=False)]

    return Counting("tokens", f"sha256:{hashlib.sha256(raw).hexdigest()}", measure)


class Described:
    """Collects the content of `stats.json`, a row at a time: funnel, sources, splits, lengths.

    `formats` is the format of each file that was read.
    """

    def __init__(self, formats: Mapping[str, str], counting: Counting) -> None:
        self._formats, self._counting = formats, counting
        self._rows_of: Counter[str] = Counter()
        self._splits = {name: _Tally() for name in SPLITS}
        self._all = _Tally()
        self._waiting: list[ConversationRow] = []
        self._prompts, self._answers = array("I"), array("I")

    def add(self, split: Split, record: Record) -> None:
        """Take one row."""
        file = file_of(record.where)
        self._rows_of[self._formats[file]] += 1
        self._splits[split].add(record.row)
        self._all.add(record.row)
        self._waiting.append(record.row)
        if len(self._waiting) == BATCH_ROWS:
            self._measure()

    def as_json(self, dropped: Mapping[str, int]) -> dict[str, Any]:
        """The whole, with what was dropped by reason."""
        self._measure()
        files = Counter(self._formats.values())
        rows = self._all.rows
        return {
            "funnel": {
                "input": rows + sum(dropped.values()),
                "drops": dict(sorted(dropped.items())),
                "output": rows,
            },
            "sources": [
                {"format": name, "files": files[name], "rows": self._rows_of[name]} for name in sorted(files)
            ],
            "splits": {name: tally.as_json() for name, tally in self._splits.items()},
            "all": self._all.as_json(),
            "lengths": {
                "unit": self._counting.unit,
                "tokenizer": self._counting.digest,
                "prompt": quantiles(self._prompts),
                "answer": quantiles(self._answers),
                "total": quantiles(
                    array("I", (a + b for a, b in zip(self._prompts, self._answers, strict=True)))
                ),
            },
        }

    def _measure(self) -> None:
        """Lengths in the texts alone; what a chat template adds differs from model to model.

        The answer is what the assistant says in all turns, the prompt everything else.
        """
        lengths = iter(self._counting.measure([m.content for row in self._waiting for m in row.messages]))
        for row in self._waiting:
            spoken = Counter[bool]()
            for message in row.messages:
                spoken[message.role == "assistant"] += next(lengths)
            self._answers.append(spoken[True])
            self._prompts.append(spoken[False])
        self._waiting.clear()


class _Tally:
    """Counts of the rows of a split, or of all."""

    def __init__(self) -> None:
        self.rows = self._multi_turn = 0
        self._tasks: set[str] = set()
        self._groups: set[str] = set()
        self._kinds: Counter[str] = Counter()

    def add(self, row: ConversationRow) -> None:
        """Take one row."""
        self.rows += 1
        self._multi_turn += sum(m.role == "user" for m in row.messages) > 1
        self._kinds[row.kind] += 1
        for name, names in ((row.task, self._tasks), (row.group, self._groups)):
            if name:
                names.add(name)

    def as_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "rows": self.rows,
            "tasks": len(self._tasks),
            "groups": len(self._groups),
            "multi_turn": self._multi_turn,
            "kinds": dict(sorted(self._kinds.items())),
        }


def quantiles(values: Sequence[int]) -> dict[str, Any]:
    """p50, p95 and max by nearest rank, and how many lie in each power of two: {"16-31": 40}."""
    ordered = sorted(values)
    n = len(ordered)
    bins = Counter(max(value, 1).bit_length() for value in ordered)
    return {
        "p50": ordered[-(-n * 50 // 100) - 1],
        "p95": ordered[-(-n * 95 // 100) - 1],
        "max": ordered[-1],
        "histogram": {f"{2 ** (bits - 1)}-{2**bits - 1}": bins[bits] for bits in sorted(bins)},
    }
