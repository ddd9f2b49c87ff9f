"""Counts for `stats.json`: splits, kinds, and how long prompts and answers are."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ta_data.checks import Bad, Record
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


def describe(
    splits: Mapping[Split, Sequence[ConversationRow]],
    kept: Sequence[Record],
    dropped: Sequence[Bad],
    *,
    formats: Mapping[str, str],
    counting: Counting,
) -> dict[str, Any]:
    """The content of `stats.json`: funnel, sources, splits, lengths."""
    rows = [record.row for record in kept]
    return {
        "funnel": {
            "input": len(kept) + len(dropped),
            "drops": dict(sorted(Counter(bad.reason for bad in dropped).items())),
            "output": sum(len(members) for members in splits.values()),
        },
        "sources": _describe_sources(kept, formats),
        "splits": {name: _describe(members) for name, members in splits.items()},
        "all": _describe(rows),
        "lengths": describe_lengths(rows, counting),
    }


def _describe_sources(kept: Iterable[Record], formats: Mapping[str, str]) -> list[dict[str, Any]]:
    files = Counter(formats.values())
    rows = Counter(formats[record.where.rpartition(":")[0]] for record in kept)
    return [{"format": name, "files": files[name], "rows": rows[name]} for name in sorted(files)]


def _describe(rows: Sequence[ConversationRow]) -> dict[str, Any]:
    return {
        "rows": len(rows),
        "tasks": len({row.task for row in rows if row.task}),
        "groups": len({row.group for row in rows if row.group}),
        "multi_turn": sum(sum(m.role == "user" for m in row.messages) > 1 for row in rows),
        "kinds": dict(sorted(Counter(row.kind for row in rows).items())),
    }


def describe_lengths(rows: Sequence[ConversationRow], counting: Counting) -> dict[str, Any]:
    """Quantiles and histogram of prompt, answer and total, in the texts alone.

    The answer is what the assistant says in all turns, the prompt everything else. What a chat template adds
    is not counted: it differs from model to model.
    """
    prompts, answers = [], []
    for start in range(0, len(rows), BATCH_ROWS):
        batch = rows[start : start + BATCH_ROWS]
        lengths = iter(counting.measure([m.content for row in batch for m in row.messages]))
        for row in batch:
            spoken = Counter[bool]()
            for message in row.messages:
                spoken[message.role == "assistant"] += next(lengths)
            answers.append(spoken[True])
            prompts.append(spoken[False])
    totals = [a + b for a, b in zip(prompts, answers, strict=True)]
    return {
        "unit": counting.unit,
        "tokenizer": counting.digest,
        "prompt": quantiles(prompts),
        "answer": quantiles(answers),
        "total": quantiles(totals),
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
