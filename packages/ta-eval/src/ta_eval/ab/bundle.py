"""A bundle: pairs of answers without names, in a folder for raters; which side is which, in a key file apart.

The folder holds a commitment to the key (SHA-256 over a salted text), so that a key cannot be exchanged after
the votes are known, and nothing of the key can be worked out from the folder.
"""

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from ta_eval.ab.votes import VOTES_NAME
from ta_eval.answers import AnsweredPair, sample
from ta_eval.pipe import read_lines
from ta_schemas import ArtifactError, InputError
from ta_schemas.manifest import now

REPEATED_SHARE = 0.1
"""Share of the pairs shown a second time, sides exchanged: does a rater agree with himself?"""


class Pair(NamedTuple):
    """What a rater sees: a question and two answers, no names."""

    id: str
    question: str
    left: str
    right: str
    repeat_of: str = ""


class Bundle(NamedTuple):
    """The raters' folder, read."""

    path: Path
    title: str
    votes_per_item: int
    commitment: str
    pairs: dict[str, Pair]

    @property
    def originals(self) -> list[Pair]:
        """Without the repeated ones."""
        return [pair for pair in self.pairs.values() if not pair.repeat_of]


class Key(NamedTuple):
    """Which side is which."""

    baseline: str
    candidate: str
    digests: dict[str, str]
    identical: int
    """Items whose answers are the same text: ties that were not asked."""
    items: dict[str, str]
    """Pair: the item behind it."""
    candidate_side: dict[str, str]
    """Pair: `left` or `right`."""


def create_bundle(
    answers: AnsweredPair, out: Path, key_file: Path, *, items: int, votes_per_item: int, title: str
) -> Bundle:
    """Choose items, deal sides at random, write the folder and the key. InputError where either exists."""
    for path in (out, key_file):
        if path.exists():
            raise InputError(f"{path}: exists already: name another one, votes must not be mixed")
    chosen = sample((item.id for item in answers.different), items)
    asked = [item for item in answers.different if item.id in chosen]
    if not asked:
        raise InputError("every answer of the two systems is the same text: there is nothing to vote on")
    deal = secrets.SystemRandom()
    deal.shuffle(asked)
    repeated = asked[: max(1, round(REPEATED_SHARE * len(asked)))]
    pairs: list[Pair] = []
    sides: dict[str, dict[str, str]] = {}
    first: dict[str, Pair] = {}
    for number, item in enumerate([*asked, *repeated], start=1):
        pair_id, before = f"pair-{number:04}", first.get(item.id)
        side = deal.choice(("left", "right"))
        if before:  # the other way round
            side = "left" if sides[before.id]["candidate"] == "right" else "right"
        left, right = (item.candidate, item.base) if side == "left" else (item.base, item.candidate)
        pair = Pair(pair_id, item.question, left, right, before.id if before else "")
        pairs.append(pair)
        sides[pair_id] = {"item": item.id, "candidate": side}
        first.setdefault(item.id, pair)
    key: dict[str, Any] = {
        "salt": secrets.token_hex(32),
        "baseline": answers.baseline,
        "candidate": answers.candidate,
        "digests": answers.digests,
        "identical": len(answers.items) - len(answers.different),
        "pairs": sides,
        "pairs_sha256": _digest([pair._asdict() for pair in pairs]),
    }
    staging = out.with_name(f"{out.name}.partial-{os.getpid()}")
    staging.mkdir(parents=True)
    about = {
        "schema_version": 1,
        "title": title,
        "created_at": now().isoformat(),
        "votes_per_item": votes_per_item,
        "commitment": _digest(key),
    }
    (staging / "ab.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    lines = "".join(json.dumps(pair._asdict(), ensure_ascii=False) + "\n" for pair in pairs)
    (staging / "pairs.jsonl").write_text(lines, encoding="utf-8")
    (staging / VOTES_NAME).touch()
    key_file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(json.dumps(key, indent=1) + "\n")
    staging.rename(out)
    return open_bundle(out)


def open_bundle(path: Path) -> Bundle:
    """Read the raters' folder. InputError where it is none."""
    about_file = path / "ab.json"
    if not about_file.is_file():
        raise InputError(f"{path}: no ab.json: make it with ta-eval ab create")
    about = json.loads(about_file.read_text(encoding="utf-8"))
    if about.get("schema_version") != 1:
        raise InputError(f"{about_file}: schema_version {about.get('schema_version')!r}: upgrade ta-eval")
    pairs = {row["id"]: Pair(**row) for _, row in read_lines(path / "pairs.jsonl")}
    return Bundle(path, about["title"], about["votes_per_item"], about["commitment"], pairs)


def open_key(bundle: Bundle, key_file: Path) -> Key:
    """Read the key and hold it to the commitment. ArtifactError where key or pairs are not those created."""
    if not key_file.is_file():
        raise InputError(f"{key_file}: no such file: name the key that ta-eval ab create wrote (--key)")
    try:
        key = json.loads(key_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{key_file}: not JSON ({error})") from None
    if _digest(key) != bundle.commitment:
        raise ArtifactError(f"{key_file}: is not the key that {bundle.path} was sealed with")
    if key["pairs_sha256"] != _digest([pair._asdict() for pair in bundle.pairs.values()]):
        raise ArtifactError(f"{bundle.path / 'pairs.jsonl'}: changed after it was sealed")
    return Key(
        baseline=key["baseline"],
        candidate=key["candidate"],
        digests=key["digests"],
        identical=key["identical"],
        items={pair: side["item"] for pair, side in key["pairs"].items()},
        candidate_side={pair: side["candidate"] for pair, side in key["pairs"].items()},
    )


def key_path(out: Path) -> Path:
    """Where `create` puts the key unless told otherwise: beside the folder, not in it."""
    return out.with_name(f"{out.name}.key.json")


def _digest(content: Any) -> str:
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
