"""Preferences, feedback and the audit trail: pairs, feedback, diff, explain, forget, croissant."""

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
    events: Annotated[Path, typer.Argument(help="Feedback events, JSON lines (messages, rating, correction).")],
    dataset: Annotated[Path, typer.Option(help="The dataset that is to grow.")],
    review: Annotated[Path, typer.Option(help="The review list, CSV: written if it is not there.")],
    out: Annotated[Path | None, typer.Option(help="Where the next version goes, once decided.")] = None,
    against: Annotated[list[Path] | None, typer.Option(help="A benchmark to keep out.")] = None,
    force: Force = False,
) -> None:
    """Turn feedback into reviewed rows of the next dataset version.

    First run: personal data masked, duplicates and benchmark contacts left out, a
    review list written. Fill in accept or reject; the second run merges.

    Example: ta-data feedback events.jsonl --dataset runs/x/dataset --review r.csv --out runs/x/dataset-2
    """
    from ta_data.versions.feedback import candidates, merge, read_decisions, review_list
    from ta_schemas.artifact import Artifact
    from ta_schemas.errors import InputError

    old = Artifact.open(dataset, kind="dataset")
    rows, reasons = candidates(events, old, against or [])
    if not review.exists():
        partial = review.with_name(f"{review.name}.partial")
        partial.write_text(review_list(rows), encoding="utf-8", newline="")
        partial.replace(review)
        _print({"to_review": len(rows), "left_out": reasons, "review": str(review)})
        return
    if out is None:
        raise InputError(f"{review}: is there already: pass --out to merge its decisions, or remove it")
    _print({**merge(old, rows, read_decisions(review), out, replace=force), "left_out": reasons})


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


def _print(result: dict[str, Any]) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(result)))
