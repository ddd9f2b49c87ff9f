"""`tunedassist pairs`: preference pairs of the tuned model's own answers (on-policy).

The model answers questions of the training split several times, ta-eval scores the answers by file, ta-data
makes pairs of a better and a worse one.
"""

import json
import tempfile
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from ta_schemas import Artifact, ArtifactWriter, read_jsonl, sealed, write_jsonl
from ta_schemas.artifact import refuse_existing
from ta_schemas.rows import BenchmarkRow, ConversationRow, PreferenceRow, ScoreRow
from tunedassist_cli.full.sampling import Sampling, has_llama_cpp, sample, write_policy, write_questions
from tunedassist_cli.pipeline import Steps

REFERENCES = "reference"
"""Name of the file with the training rows' own answers; a pair's `source` begins with it."""

FEW = 100
"""Samples below which a third of the pairs is held out: a tenth of so few can be none."""


class Places(NamedTuple):
    """Where the steps leave their artifacts, below one folder."""

    policy: Path
    samples: Path
    preferences: Path

    @classmethod
    def below(cls, folder: Path) -> "Places":
        """As `tunedassist run --all` has them."""
        return cls(folder / "policy", folder / "samples", folder / "preferences")


STEPS = 3 if has_llama_cpp() else 2


def pairs(
    steps: Steps,
    dataset: Artifact,
    adapter: Artifact,
    commands: bool,
    places: Places,
    sampling: Sampling,
    *,
    replace: bool = False,
) -> Artifact:
    """Export the policy, sample, make pairs: a `preferences` artifact. `commands`: see `judged_by_command`.

    What is sealed already is skipped. Raises InputError where no pair can be made.
    """
    policy = adapter
    if has_llama_cpp():
        policy = steps.take(
            "tuned model to sample from",
            places.policy,
            lambda place: write_policy(adapter.path, place, replace=replace),
        )
    questions = write_questions(dataset, commands, sampling, places.samples.with_name("questions.jsonl"))
    settings = json.loads(adapter.file("settings.json").read_text(encoding="utf-8"))
    samples = steps.take(
        "samples of the tuned model",
        places.samples,
        lambda place: sample(
            adapter,
            policy.path,
            questions,
            sampling,
            place,
            max_tokens=settings["generation"]["max_tokens"],
            replace=replace,
        ),
    )
    return steps.take(
        "preference pairs",
        places.preferences,
        lambda place: seal_pairs(samples, dataset, place, replace=replace),
    )


def seal_pairs(samples: Artifact, dataset: Artifact, out: Path, *, replace: bool = False) -> Artifact:
    """Pairs of the samples. Where none of a question's samples is right, its training answer is the chosen one.

    `on_policy` in a row says whether the chosen answer is the model's own; the rejected one always is.
    """
    from ta_data.pairs import PairsConfig, make_pairs

    few = samples.manifest.metrics["items"] < FEW  # a run cut short holds a pair out, too
    config = PairsConfig(validation=0.34) if few else PairsConfig()
    identity = {"pairs": config.model_dump()}
    parents = [samples.as_parent, dataset.as_parent]
    done = sealed(out, kind="preferences", config=identity, parents=parents)
    if done:
        return done
    refuse_existing(out, replace=replace)
    with tempfile.TemporaryDirectory() as scratch:
        references = _write_references(samples, dataset, Path(scratch), config.min_margin)
        made = make_pairs(config, [references, samples.path], Path(scratch) / "pairs")
        with ArtifactWriter(
            out,
            kind="preferences",
            producer=f"tunedassist-cli {version('tunedassist-cli')}",
            config=identity,
            parents=parents,
            replace=replace,
        ) as writer:
            own = [_copy_marked(made, name, writer.path) for name in ("train.jsonl", "validation.jsonl")]
            share = sum(map(sum, own)) / max(1, sum(map(len, own)))
            stats = {**made.manifest.metrics, "on_policy": round(share, 4)}
            (writer.path / "stats.json").write_text(json.dumps(stats, indent=2) + "\n", encoding="utf-8")
            writer.metrics |= stats
    return Artifact.open(out, kind="preferences", verify=False)


def _write_references(samples: Artifact, dataset: Artifact, folder: Path, min_margin: float) -> Path:
    """The training answers to questions whose samples are all about equally wrong."""
    scores: dict[str, list[float]] = defaultdict(list)
    for score in read_jsonl(samples.file("scores.jsonl"), ScoreRow):
        if score.score is not None:
            scores[score.id.rpartition("#")[0]].append(score.score)
    needed = {
        key for key, found in scores.items() if max(found) - min(found) < min_margin and max(found) < min_margin
    }
    answers = {
        row.id: row.messages[-1].content for row in read_jsonl(dataset.file("train.jsonl"), ConversationRow)
    }
    rows: list[dict[str, Any]] = [
        {
            "prompt": [{"role": m.role, "content": m.content} for m in row.messages],
            "output": answers[row.id.rpartition("#")[0]],
            "score": 1.0,
        }
        for row in read_jsonl(samples.file("benchmark.jsonl"), BenchmarkRow)
        if row.id.endswith("#1") and row.id.rpartition("#")[0] in needed
    ]
    file = folder / f"{REFERENCES}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def _copy_marked(made: Artifact, name: str, folder: Path) -> list[bool]:
    """Write the rows of a split, each marked; gives the marks."""
    rows = list(read_jsonl(made.file(name), PreferenceRow))
    marks = [not row.source.startswith(f"{REFERENCES}.jsonl") for row in rows]
    for row, mark in zip(rows, marks, strict=True):
        row.extra["on_policy"] = mark
    write_jsonl(folder / name, rows)
    return marks


def in_words(preferences: Artifact) -> str:
    """What a person reads of a `preferences` artifact."""
    found = preferences.manifest.metrics
    lengths = found["mean_length"]
    return (
        f"{found['pairs']} pairs of as many questions; in {found['on_policy']:.0%} the chosen answer is the "
        f"model's own, else the training answer; mean margin {found['mean_margin']:.2f}; chosen "
        f"{lengths['chosen']:.0f} characters, rejected {lengths['rejected']:.0f}; the longer one is chosen in "
        f"{found['chosen_is_longer']:.0%}"
    )
