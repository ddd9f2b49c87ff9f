"""Preferences, feedback and the audit trail: pairs, feedback, diff, explain, forget, croissant."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

Dataset = Annotated[Path, typer.Argument(help="A dataset artifact.")]
Out = Annotated[Path, typer.Option(help="Where the new artifact goes.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the artifact at --out.")]


def pairs_command(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Predictions artifacts of ta-eval; rows with score, correction or winner."),
    ],
    out: Out,
    min_margin: Annotated[float, typer.Option(help="Difference of the scores, at least.")] = 0.5,
    per_prompt: Annotated[int, typer.Option(help="Pairs of one prompt, at most.")] = 1,
    validation: Annotated[float, typer.Option(help="Share of the prompts held out.")] = 0.1,
    max_skew: Annotated[float, typer.Option(help="Chosen may be the longer one in this share of pairs.")] = 0.6,
    system: Annotated[str, typer.Option(help="System prompt of prompts that bring none.")] = "",
    force: Force = False,
) -> None:
    """Make chosen and rejected answers of scored ones, of corrections and of votes.

    Lengths are balanced: `length_alone_would_guess` near 0.5 means that the model
    cannot learn to be merely longer.

    Example: ta-data pairs runs/sample-1 runs/sample-2 --out runs/x/preferences
    """
    from ta_data.config import validated
    from ta_data.pairs import PairsConfig, make_pairs

    given = {
        "min_margin": min_margin,
        "per_prompt": per_prompt,
        "validation": validation,
        "max_skew": max_skew,
        "system": system,
    }
    artifact = make_pairs(validated(PairsConfig, given, where="command line"), sources, out, replace=force)
    _print({"path": str(out), "digest": artifact.digest, **artifact.manifest.metrics})


def feedback_command(
    events: Annotated[
        Path,
        typer.Argument(help="Feedback events (messages, rating, correction) or attempts.jsonl of ta-safety."),
    ],
    dataset: Annotated[Path, typer.Option(help="The dataset that is to grow.")],
    review: Annotated[Path, typer.Option(help="The review list, CSV: written if it is not there.")],
    out: Annotated[Path | None, typer.Option(help="Where the next version goes, once decided.")] = None,
    against: Annotated[list[Path] | None, typer.Option(help="A benchmark to keep out.")] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Go through the list here: accept, reject, edit, skip, quit.")
    ] = False,
    force: Force = False,
) -> None:
    """Turn feedback into reviewed rows of the next dataset version.

    First run: personal data masked, duplicates and benchmark contacts left out, a
    review list written. Fill in accept or reject, and better the answers where you can,
    in a spreadsheet or with --ask; the run with --out merges.

    Example: ta-data feedback events.jsonl --dataset runs/x/dataset --review r.csv --ask

    Example: ta-data feedback events.jsonl --dataset runs/x/dataset --review r.csv --out runs/x/dataset-2
    """
    from ta_data.versions.feedback import candidates, merge
    from ta_data.versions.review import ask_all, read_list, write_list
    from ta_schemas.artifact import Artifact
    from ta_schemas.errors import InputError

    old = Artifact.open(dataset, kind="dataset")
    rows, reasons = candidates(events, old, against or [])
    if ask:
        decided = ask_all(review, rows, _key, _edited)
        left = sum(not (row.id in decided and decided[row.id].word) for row in rows)
        typer.echo(f"{len(rows) - left} decided, {left} left: {review}", err=True)
        if out is None:
            return
    elif not review.exists():
        write_list(review, rows, {})
        _print({"to_review": len(rows), "left_out": reasons, "review": str(review)})
        return
    if out is None:
        raise InputError(f"{review}: is there already: --out merges its decisions, --ask goes on with it")
    _print({**merge(old, rows, read_list(review), out, replace=force), "left_out": reasons})


def _key(text: str) -> str:
    """The key pressed at a text; the end of the input is `q`."""
    typer.echo(f"\n{text}", err=True)
    while True:
        typer.echo("accept, reject, edit, skip, quit [a/r/e/s/q]: ", err=True, nl=False)
        line = sys.stdin.readline()
        said = line.strip().lower()[:1] if line else "q"
        if said and said in "aresq":
            return said


def diff_command(old: Dataset, new: Annotated[Path, typer.Argument(help="A later version of it.")]) -> None:
    """Tell which rows were added, removed, changed or moved between two versions.

    Example: ta-data diff runs/x/dataset runs/x/dataset-2
    """
    from ta_data.versions.diff import diff
    from ta_schemas.artifact import Artifact

    _print(diff(Artifact.open(old, kind="dataset"), Artifact.open(new, kind="dataset")))


def explain_command(
    dataset: Dataset, row: Annotated[str, typer.Argument(help="The id of a row, kept or dropped.")]
) -> None:
    """Tell where a row came from, what each step did to it, and what was made from it.

    Example: ta-data explain runs/x/dataset faq.csv:12
    """
    from ta_data.versions.lineage import explain
    from ta_schemas.artifact import Artifact

    _print(explain(Artifact.open(dataset, kind="dataset"), row))


def forget_command(
    dataset: Dataset,
    source: Annotated[str, typer.Argument(help="The document, as rows name it: tickets/2024.mbox.")],
    out: Out,
    runs: Annotated[Path | None, typer.Option(help="Look here for what descends from the dataset.")] = None,
    force: Force = False,
) -> None:
    """Write a version without a document and all that was made from it; keep a tombstone.

    With --runs every adapter, model and report is named that was made from the old
    version: they have seen the document, and must be made again.

    Example: ta-data forget runs/x/dataset tickets/2024.mbox --runs runs --out runs/x/dataset-2
    """
    from ta_data.versions.lineage import forget
    from ta_schemas.artifact import Artifact

    _print(forget(Artifact.open(dataset, kind="dataset"), source, out, runs=runs, replace=force))


def croissant_command(dataset: Dataset) -> None:
    """Print the Croissant metadata (JSON-LD) of a dataset.

    Example: ta-data croissant runs/x/dataset > croissant.json
    """
    from ta_data.croissant import croissant
    from ta_schemas.artifact import Artifact

    _print(croissant(Artifact.open(dataset, kind="dataset")))


def _edited(text: str) -> str:
    """The text after the user's editor."""
    with tempfile.NamedTemporaryFile("w+", suffix=".md", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        subprocess.run([*shlex.split(editor), file.name], check=False)
        return Path(file.name).read_text(encoding="utf-8")


def _print(result: dict[str, Any]) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(result)))
