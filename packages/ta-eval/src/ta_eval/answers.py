"""Two systems' answers to the same questions, for people and judges to compare: artifacts or JSON lines."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ta_eval.files import sha256_of
from ta_eval.pipe import read_lines
from ta_eval.systems import System, read_systems
from ta_schemas import InputError, Parent


class AnsweredItem(NamedTuple):
    """A question with both answers."""

    id: str
    category: str
    question: str
    base: str
    candidate: str
    references: list[str]


class AnsweredPair(NamedTuple):
    """Baseline and candidate over the items that both have answered."""

    baseline: str
    candidate: str
    items: list[AnsweredItem]
    digests: dict[str, str]
    """Baseline and candidate: what was read."""
    models: dict[str, str]
    """Baseline and candidate: the model's name, where it is known."""
    parents: list[Parent]

    @property
    def different(self) -> list[AnsweredItem]:
        """Items whose answers are not the same text; the others are ties that nobody needs to be asked."""
        return [item for item in self.items if item.base.strip() != item.candidate.strip()]


def read_answered_pair(base: Path, candidate: Path) -> AnsweredPair:
    """Read two predictions artifacts, or two files of JSON lines with `id`, `question` and `output`.

    Raises InputError where the items differ, or where no item has an answer on both sides.
    """
    if base.is_dir() or candidate.is_dir() or not base.exists() or not candidate.exists():
        one, other = read_systems("answers", [base, candidate])
        for system in (one, other):
            if not system.outputs:
                raise InputError(f"{system.path}: holds scores, no answers: name a predictions directory")
        pair = _from_artifacts(one, other)
    else:
        pair = _from_lines(base, candidate)
    if not pair.items:
        raise InputError(f"{base} and {candidate}: no item has an answer on both sides")
    return pair


def sample(ids: Iterable[str], count: int) -> set[str]:
    """Choose `count` ids, the first by digest: the same every time, and a random part of the whole.

    So a rate over the chosen ones is an estimate for all, and labels on some of them correct a judge on the
    others. `spread`, which gives small categories more than their share, would not do for that.
    """
    return set(sorted(ids, key=_digest)[:count])


def spread(items: Iterable[tuple[str, str]], count: int) -> list[str]:
    """Choose `count` ids of (id, category): category after category in turn, within one by digest of the id.

    So the choice is the same every time, spreads over the categories, and is nobody's pick.
    """
    by_category: dict[str, list[str]] = {}
    for id_, category in sorted(items, key=lambda item: _digest(item[0])):
        by_category.setdefault(category, []).append(id_)
    turns = [(turn, at, id_) for at, ids in enumerate(by_category.values()) for turn, id_ in enumerate(ids)]
    return [id_ for _, _, id_ in sorted(turns)][:count]


def _digest(id_: str) -> str:
    return hashlib.sha256(id_.encode()).hexdigest()


def _from_artifacts(base: System, candidate: System) -> AnsweredPair:
    items = [
        AnsweredItem(
            id=row.id,
            category=row.category,
            question="\n".join(message.content for message in row.messages if message.role == "user"),
            base=base.outputs[row.id].output,
            candidate=candidate.outputs[row.id].output,
            references=row.references,
        )
        for row in base.rows
        if not base.outputs[row.id].error and not candidate.outputs[row.id].error
    ]
    sides = {"baseline": base, "candidate": candidate}
    return AnsweredPair(
        baseline=base.name,
        candidate=candidate.name,
        items=items,
        digests={side: system.digest for side, system in sides.items()},
        models={side: str(s.config.get("target", {}).get("model", "")) for side, s in sides.items()},
        parents=[s.artifact.as_parent for s in sides.values() if s.artifact],
    )


def _from_lines(base: Path, candidate: Path) -> AnsweredPair:
    if base.stem == candidate.stem:
        raise InputError(f"{base} and {candidate}: both would be called {base.stem!r}: rename one file")
    ours, theirs = _read(base), _read(candidate)
    if ours.keys() != theirs.keys():
        odd = next(iter(ours.keys() ^ theirs.keys()))
        raise InputError(f"{base} and {candidate}: only one of them answers {odd!r}")
    items = [
        AnsweredItem(
            id=id_,
            category=str(row.get("category") or "all"),
            question=row["question"],
            base=row["output"],
            candidate=theirs[id_]["output"],
            references=[str(text) for text in row.get("references") or ()],
        )
        for id_, row in ours.items()
    ]
    files = {"baseline": base, "candidate": candidate}
    digests = {side: sha256_of(file) for side, file in files.items()}
    return AnsweredPair(base.stem, candidate.stem, items, digests, dict.fromkeys(files, ""), [])


def _read(file: Path) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for where, row in read_lines(file):
        for name in ("id", "question", "output"):
            if not isinstance(row.get(name), str):
                raise InputError(f"{where}: {name}: expected a text")
        if row["id"] in rows:
            raise InputError(f"{where}: id: {row['id']!r} is there twice")
        rows[row["id"]] = row
    return rows
