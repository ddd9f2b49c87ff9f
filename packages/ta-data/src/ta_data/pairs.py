"""`ta-data pairs`: several answers to a prompt become chosen and rejected.

Sources, each by file: predictions with scores (ta-eval's artifacts, or rows with `prompt`, `output`, `score`),
people's corrections (feedback rows), A/B votes (`prompt`, `a`, `b`, `winner`), and a folder of `ta-eval ab`
with its `pairs.jsonl` and `votes.jsonl`, or the `labels.jsonl` in it.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from ta_data.checks import Bad
from ta_data.pipe import Object, read_rows
from ta_schemas.artifact import Artifact, ArtifactWriter
from ta_schemas.errors import InputError
from ta_schemas.jsonl import write_jsonl
from ta_schemas.manifest import MANIFEST_NAME
from ta_schemas.rows import Message, PreferenceRow

VOTES = "votes.jsonl"
VOTED = {"left": (1.0, 0.0), "right": (0.0, 1.0), "tie": (0.5, 0.5), "both_bad": (0.0, 0.0)}
"""What a vote is worth to the left and to the right answer."""


class PairsConfig(BaseModel):
    """Which pairs are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_margin: float = Field(default=0.5, gt=0, description="difference of the scores, at least")
    per_prompt: int = Field(default=1, ge=1, description="pairs of one prompt, at most")
    validation: float = Field(default=0.1, ge=0, lt=1, description="share of the prompts")
    max_skew: float = Field(
        default=0.6, ge=0.5, le=1, description="pairs in which chosen is the longer one may have this share"
    )
    system: str = Field(default="", description="system prompt of prompts that bring none")


class Answer(NamedTuple):
    """An answer and how good it is."""

    text: str
    score: float
    source: str


class Pair(NamedTuple):
    """A better and a worse answer to one prompt."""

    prompt: str
    chosen: Answer
    rejected: Answer

    @property
    def longer(self) -> bool:
        """Whether the chosen answer is the longer one."""
        return len(self.chosen.text) > len(self.rejected.text)

    @property
    def margin(self) -> float:
        """The difference of the scores."""
        return self.chosen.score - self.rejected.score


def make_pairs(config: PairsConfig, sources: list[Path], out: Path, *, replace: bool = False) -> Artifact:
    """Write a `preferences` artifact: `train.jsonl`, `validation.jsonl`, `stats.json`.

    Raises InputError where no pair can be made.
    """
    answers: dict[str, list[Answer]] = defaultdict(list)
    prompts: dict[str, list[Object]] = {}
    reasons: Counter[str] = Counter()
    for source in sources:
        for messages, answer in read_answers(source, reasons):
            key = hashlib.sha256(msgspec.json.encode(messages)).hexdigest()
            prompts[key] = messages
            answers[key].append(answer)
    pairs = list(chosen_pairs(config, answers, reasons))
    if not pairs:
        raise InputError(f"no pair could be made: {dict(reasons) or 'no answers found'}")
    pairs, left_out = balanced(pairs, config.max_skew)
    reasons["length balance"] += left_out
    stats = describe(pairs, reasons)
    config_plain = {
        **config.model_dump(),
        "sources": [hashlib.sha256(f.read_bytes()).hexdigest() for s in sources for f in _files(s)],
    }
    producer = f"ta-data {version('ta-data')}"
    with ArtifactWriter(
        out, kind="preferences", producer=producer, config=config_plain, replace=replace
    ) as writer:
        rows = [as_row(pair, prompts[pair.prompt], config.system) for pair in pairs]
        held = _held_out(pairs, config.validation)
        train = [row for row, pair in zip(rows, pairs, strict=True) if pair.prompt not in held]
        validation = [row for row, pair in zip(rows, pairs, strict=True) if pair.prompt in held]
        write_jsonl(writer.path / "train.jsonl", train)
        write_jsonl(writer.path / "validation.jsonl", validation)
        (writer.path / "stats.json").write_bytes(msgspec.json.format(msgspec.json.encode(stats)) + b"\n")
        writer.metrics |= {"rows": {"train": len(train), "validation": len(validation)}, **stats}
    return Artifact.open(out, kind="preferences", verify=False)


def read_answers(source: Path, reasons: Counter[str]) -> Iterator[tuple[list[Object], Answer]]:
    """Prompt and scored answer, from any of the sources."""
    if (source / MANIFEST_NAME).is_file() and (source / "predictions.jsonl").is_file():
        yield from _from_predictions(Artifact.open(source, kind="predictions"), reasons)
        return
    folder = source.parent if source.name in (VOTES, "labels.jsonl") else source
    if (folder / VOTES).is_file() and (folder / "pairs.jsonl").is_file():
        yield from _from_votes(folder, reasons)
        return
    for placed in read_rows(source):
        if isinstance(placed, Bad):
            reasons[placed.reason] += 1
            continue
        row, where = placed.row, placed.where
        found = list(_from_row(row, where))
        if not found:
            reasons["no score, correction or vote"] += 1
        yield from found


def _from_predictions(artifact: Artifact, reasons: Counter[str]) -> Iterator[tuple[list[Object], Answer]]:
    asked = {str(p.row["id"]): p.row["messages"] for p in _rows(artifact.file("benchmark.jsonl"))}
    scores = {str(p.row["id"]): p.row.get("score") for p in _rows(artifact.file("scores.jsonl"))}
    for placed in _rows(artifact.file("predictions.jsonl")):
        key, score = str(placed.row["id"]), scores.get(str(placed.row["id"]))
        if score is None or key not in asked or not str(placed.row.get("output", "")).strip():
            reasons["answer without a score"] += 1
            continue
        yield asked[key], Answer(str(placed.row["output"]), float(score), f"{artifact.path.name}:{key}")


def _from_votes(folder: Path, reasons: Counter[str]) -> Iterator[tuple[list[Object], Answer]]:
    """Both answers of each pair, scored by the share of its raters that chose it; a tie counts for half.

    A pair shown again with its sides exchanged is the same pair; who is who need not be known.
    """
    pairs = {str(placed.row["id"]): placed.row for placed in _rows(folder / "pairs.jsonl")}
    votes: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for placed in _rows(folder / VOTES):
        pair = pairs.get(str(placed.row.get("pair")))
        worth = VOTED.get(str(placed.row.get("choice")))
        if pair is None or worth is None:
            reasons["vote on no pair"] += 1
        elif first := pair.get("repeat_of"):
            votes[str(first)].append(worth[::-1])
        else:
            votes[str(pair["id"])].append(worth)
    for key, given in votes.items():
        for side, worth in zip(("left", "right"), zip(*given, strict=True), strict=True):
            text, score = str(pairs[key][side]), sum(worth) / len(given)
            yield _prompt(pairs[key]["question"]), Answer(text, score, f"{folder.name}:{key}")


def _from_row(row: Object, where: str) -> Iterator[tuple[list[Object], Answer]]:
    if isinstance(row.get("score"), int | float) and ("output" in row or "completion" in row):
        prompt = row.get("prompt", row.get("messages", ""))
        yield (
            _prompt(prompt),
            Answer(str(row.get("output") or row.get("completion")), float(row["score"]), where),
        )
    elif row.get("correction") and isinstance(row.get("messages"), list):
        prompt, answered = row["messages"][:-1], str(row["messages"][-1].get("content", ""))
        yield _prompt(prompt), Answer(str(row["correction"]), 1.0, where)
        yield _prompt(prompt), Answer(answered, 0.0, where)
    elif row.get("winner") in ("a", "b") and "a" in row and "b" in row:
        for side in ("a", "b"):
            yield _prompt(row.get("prompt", "")), Answer(str(row[side]), float(row["winner"] == side), where)


def chosen_pairs(
    config: PairsConfig, answers: dict[str, list[Answer]], reasons: Counter[str]
) -> Iterator[Pair]:
    """The pairs of each prompt; among equal margins the one that evens the lengths out."""
    surplus = 0
    for prompt in sorted(answers):
        distinct = {answer.text.strip(): answer for answer in answers[prompt] if answer.text.strip()}
        possible = [
            Pair(prompt, good, bad)
            for good in distinct.values()
            for bad in distinct.values()
            if good.score - bad.score >= config.min_margin
        ]
        if not possible:
            reasons["one answer only" if len(distinct) < 2 else "margin too small"] += 1
        for _ in range(min(config.per_prompt, len(possible))):
            best = max(
                possible, key=lambda p: (p.margin, -p.longer if surplus > 0 else p.longer, p.chosen.text)
            )
            possible = [p for p in possible if p.rejected is not best.rejected]
            surplus += 1 if best.longer else -1
            yield best
            if not possible:
                break


def balanced(pairs: list[Pair], max_skew: float) -> tuple[list[Pair], int]:
    """Without the longer-is-chosen pairs of smallest margin that are too many for `max_skew`."""
    longer = sorted((p for p in pairs if p.longer), key=lambda p: p.margin)
    shorter = len(pairs) - len(longer)
    if max_skew == 1 or not shorter:
        return pairs, 0
    allowed = int(max_skew / (1 - max_skew) * shorter + 1e-9)
    gone = {id(p) for p in longer[: max(0, len(longer) - allowed)]}
    return [p for p in pairs if id(p) not in gone], len(gone)


def describe(pairs: list[Pair], reasons: Counter[str]) -> dict[str, Any]:
    """Margins, lengths, and how often the longer answer is the chosen one: 0.5 means nothing."""
    n = len(pairs)
    longer = sum(p.longer for p in pairs) / n
    return {
        "pairs": n,
        "prompts": len({p.prompt for p in pairs}),
        "left_out": {key: count for key, count in sorted(reasons.items()) if count},
        "mean_margin": round(sum(p.margin for p in pairs) / n, 4),
        "mean_length": {
            "chosen": round(sum(len(p.chosen.text) for p in pairs) / n, 1),
            "rejected": round(sum(len(p.rejected.text) for p in pairs) / n, 1),
        },
        "chosen_is_longer": round(longer, 4),
        "length_alone_would_guess": round(max(longer, 1 - longer), 4),
    }


def as_row(pair: Pair, prompt: list[Object], system: str) -> PreferenceRow:
    """In TRL's conversational form."""
    messages = [Message(role=m["role"], content=m["content"]) for m in prompt]
    if system and (not messages or messages[0].role != "system"):
        messages = [Message(role="system", content=system), *messages]
    digest = hashlib.sha256(f"{pair.prompt}{pair.chosen.text}\0{pair.rejected.text}".encode()).hexdigest()
    return PreferenceRow(
        id=digest[:16],
        prompt=messages,
        chosen=[Message(role="assistant", content=pair.chosen.text)],
        rejected=[Message(role="assistant", content=pair.rejected.text)],
        margin=round(pair.margin, 4),
        source=f"{pair.chosen.source} {pair.rejected.source}".strip(),
    )


def _held_out(pairs: list[Pair], share: float) -> set[str]:
    keys = sorted({p.prompt for p in pairs})
    return set(keys[: round(share * len(keys))])


def _prompt(value: Any) -> list[Object]:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return [{"role": str(m["role"]), "content": str(m["content"])} for m in value]


def _rows(file: Path) -> Iterator[Any]:
    return (placed for placed in read_rows(file) if not isinstance(placed, Bad))


def _files(source: Path) -> list[Path]:
    return [source] if source.is_file() else sorted(source.glob("*.jsonl"))
