"""What is compared: predictions artifacts or score files over the same items, the first one the baseline."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ta_eval.files import sha256_of
from ta_eval.pipe import read_lines
from ta_schemas import Artifact, InputError, read_jsonl
from ta_schemas.rows import BenchmarkRow, PredictionRow, ScoreRow


class System(NamedTuple):
    """One side, read. A score file has scores only: no questions, no answers, no artifact."""

    name: str
    path: Path
    scores: dict[str, ScoreRow]
    groups: dict[str, str]
    """Item: what it hangs together with, such as a tool or a template."""
    rows: list[BenchmarkRow]
    outputs: dict[str, PredictionRow]
    artifact: Artifact | None
    digest: str

    @property
    def unscored(self) -> dict[str, int]:
        """Items without a score, by reason."""
        return dict(Counter(row.reason for row in self.scores.values() if row.score is None))

    @property
    def config(self) -> dict[str, Any]:
        """How the artifact was made; empty for a score file."""
        return self.artifact.manifest.config if self.artifact else {}


def read_systems(name: str, paths: Sequence[Path], *, base_digest: str = "") -> list[System]:
    """Read an item set's sides. InputError where they cannot be compared; see the refusals below."""
    if len(paths) < 2:
        raise InputError(f"{name}: expected a baseline and at least one candidate, got {len(paths)}")
    systems = [read_artifact(path) if _is_artifact(path) else _read_scores(path) for path in map(Path, paths)]
    twice = [key for key, count in Counter(system.name for system in systems).items() if count > 1]
    if twice:
        raise InputError(f"{name}: two predictions are named {twice[0]!r}: run one again with another --name")
    for system in systems[1:]:
        _refuse_other_items(name, systems[0], system)
    _refuse_false_base(name, systems, base_digest)
    return systems


def _is_artifact(path: Path) -> bool:
    return path.is_dir() or not path.exists()


def _refuse_other_items(name: str, base: System, system: System) -> None:
    ours, theirs = base.config.get("benchmark"), system.config.get("benchmark")
    if ours and theirs and ours["sha256"] != theirs["sha256"]:
        raise InputError(
            f"{name}: {base.path} answers benchmark {ours['name']} ({ours['sha256'][:12]}), "
            f"{system.path} answers {theirs['name']} ({theirs['sha256'][:12]}): "
            "only answers to the same items can be compared"
        )
    if system.scores.keys() != base.scores.keys():
        odd = next(iter(system.scores.keys() ^ base.scores.keys()))
        raise InputError(f"{name}: {system.path} and {base.path} score different items, such as {odd!r}")
    if ours and theirs and base.config.get("scorers") != system.config.get("scorers"):
        raise InputError(
            f"{name}: {base.path} and {system.path} were scored by different versions of the scorers: "
            "score the older one again (ta-eval score PREDICTIONS BENCHMARK --out NEW)"
        )


def _refuse_false_base(name: str, systems: Sequence[System], base_digest: str) -> None:
    """A comparison lies when its base side is the tuned model: what was asked is looked at, not the names."""
    base, *candidates = systems
    target = base.config.get("target", {})
    asked = (target, base.config.get("asked"), base.config.get("saved"))
    known = set(target.values()) | {p.digest for p in (base.artifact.manifest.parents if base.artifact else ())}
    if base_digest and base_digest not in known:
        shown = ", ".join(sorted(map(str, known))) or "no digest"
        raise InputError(
            f"{name}: the baseline {base.path} is {shown}, not {base_digest}: is it the base model?"
        )
    for system in candidates:
        theirs = system.config.get("target", {})
        if theirs and asked == (theirs, system.config.get("asked"), system.config.get("saved")):
            raise InputError(
                f"{name}: {base.path} and {system.path} are the same model asked the same way: "
                "that compares a model with itself"
            )
        said = theirs.get("base_digest")
        if said and said not in known:
            raise InputError(
                f"{name}: {system.path} was tuned from {said}, and the baseline {base.path} is not that model"
            )


def read_artifact(directory: Path) -> System:
    """A predictions artifact. Raises ArtifactError."""
    artifact = Artifact.open(directory, kind="predictions")
    rows = list(read_jsonl(artifact.file("benchmark.jsonl"), BenchmarkRow))
    return System(
        name=str(artifact.manifest.config["name"]),
        path=artifact.path,
        scores={row.id: row for row in read_jsonl(artifact.file("scores.jsonl"), ScoreRow)},
        groups={row.id: row.group for row in rows if row.group and row.group != row.category},
        rows=rows,
        outputs={row.id: row for row in read_jsonl(artifact.file("predictions.jsonl"), PredictionRow)},
        artifact=artifact,
        digest=artifact.digest,
    )


def _read_scores(file: Path) -> System:
    """JSON lines: `id`, `score` (number, true, false, null), perhaps `category`, `group`, `confidence`."""
    scores: dict[str, ScoreRow] = {}
    groups: dict[str, str] = {}
    for where, row in read_lines(file):
        id_, score = str(row.get("id", "")), row.get("score")
        if not id_ or id_ in scores:
            raise InputError(f"{where}: id: {'is there twice: ' + repr(id_) if id_ else 'is missing'}")
        if "score" not in row or not isinstance(score, int | float | None) or not math.isfinite(score or 0):
            raise InputError(f"{where}: score: expected a number, true, false or null, got {score!r}")
        scores[id_] = ScoreRow(
            id=id_,
            category=str(row.get("category") or "all"),
            score=None if score is None else float(score),
            scorer=str(row.get("scorer") or "given"),
            reason=str(row.get("reason") or ("no score" if score is None else "")),
        )
        if isinstance(row.get("confidence"), int | float):
            scores[id_].extra["confidence"] = float(row["confidence"])
        if row.get("group"):
            groups[id_] = str(row["group"])
    if not scores:
        raise InputError(f"{file}: no scores: expected JSON lines with id and score")
    return System(file.stem, file, scores, groups, [], {}, None, sha256_of(file))
