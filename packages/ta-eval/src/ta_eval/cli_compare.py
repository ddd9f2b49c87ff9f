"""`ta-eval compare`: systems on the same items, as a report or in a pipe."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ta_eval.options import ConfigFile, Force, Json

app = typer.Typer()


@app.command()
def compare(
    systems: Annotated[
        list[Path],
        typer.Argument(help="Predictions directories or score files (id, score); the first is the baseline."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for report.html, .md and .json; without it nothing is written."),
    ] = None,
    forgetting: Annotated[
        list[Path] | None,
        typer.Option(help="Predictions over general questions, baseline first; once for each directory."),
    ] = None,
    judge: Annotated[
        list[Path] | None, typer.Option(help="Directory of ta-eval judge over these answers, for the report.")
    ] = None,
    ab: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of ta-eval ab, analyzed, over these answers, for the report."),
    ] = None,
    config: ConfigFile = None,
    title: Annotated[str | None, typer.Option(help="Heading of the report.")] = None,
    resamples: Annotated[int | None, typer.Option(help="Bootstrap resamples (10000 unless set).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the bootstrap.")] = None,
    side_by_side: Annotated[int | None, typer.Option(help="Prompts shown with all answers (10).")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="group: items of one group hang together (default); none: they do not.")
    ] = None,
    base_digest: Annotated[
        str | None, typer.Option(help="Refuse unless the baseline answered with this model, sha256:….")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Compare systems on the same items: difference with interval, test, verdict; with --out a report.

    Example: ta-eval compare runs/base runs/tuned --forgetting runs/base-general
    --forgetting runs/tuned-general --out runs/report

    In a pipe: ta-eval compare base.jsonl tuned.jsonl --json
    """
    from ta_eval.compare import build_report, headlines, read_item_sets
    from ta_eval.compare import compare as compare_predictions
    from ta_eval.config import CompareConfig
    from ta_schemas import InputError

    settings = CompareConfig.load(
        config,
        title=title,
        resamples=resamples,
        seed=seed,
        side_by_side=side_by_side,
        cluster=cluster,
        base_digest=base_digest,
    )
    item_sets = {"benchmark": systems} | ({"forgetting check": forgetting} if forgetting else {})
    if out is None:
        if judge or ab:
            raise InputError("--judge and --ab: go into a report: name its directory with --out")
        report = build_report(settings, read_item_sets(settings, item_sets))
        found, lines = report.model_dump(mode="json"), headlines(report)
    else:
        artifact = compare_predictions(
            settings, item_sets, out, judges=judge or [], people=ab or [], replace=force
        )
        found = json.loads(artifact.file("report.json").read_text(encoding="utf-8"))
        found = {"out": str(out), "digest": artifact.digest, **found}
        lines = [*artifact.manifest.metrics["headlines"], str(out / "report.html")]
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(lines))
