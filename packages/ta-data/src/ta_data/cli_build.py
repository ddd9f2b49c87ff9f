"""`ta-data build`: a messy folder to a dataset with a report."""

from pathlib import Path
from typing import Annotated

import typer

from ta_data.config import Shares, validated


def build_command(
    source: Annotated[
        str,
        typer.Argument(help="A folder or file of anything, a domain folder, a URL, hf://datasets/OWNER/NAME."),
    ],
    out: Annotated[Path | None, typer.Option(help="Default: runs/<name of SOURCE>/dataset.")] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="A benchmark to keep out; the domain's own is kept out always.")
    ] = None,
    freeze: Annotated[
        Path | None, typer.Option(help="An earlier dataset whose rows keep their splits.")
    ] = None,
    license: Annotated[str, typer.Option(help="SPDX identifier for rows that bring none.")] = "",
    language: Annotated[
        list[str] | None, typer.Option(help="Keep this language (ISO 639-1). May be repeated.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="role=column where names do not tell: prompt=Betreff. May be repeated."),
    ] = None,
    near: Annotated[float, typer.Option(help="Jaccard of near-duplicates.")] = 0.8,
    mask: Annotated[bool, typer.Option(help="Mask personal data and secrets.")] = True,
    shares: Annotated[str, typer.Option(help="Per cent: train/validation/test.")] = "80/10/10",
    seed: Annotated[int, typer.Option(help="Another seed deals the rows out differently.")] = 0,
    doctor: Annotated[Path | None, typer.Option(help="YAML with the doctor's limits and thresholds.")] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="The model's folder: counts tokens.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the artifact at --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Collect, find conversations, check, filter, mask, decontaminate, deduplicate, split, report.

    Rows whose questions resemble one another are never in two splits. The card is
    README.md and the doctor's report is report.html in the dataset. Exit code 6: it
    was made, and the doctor found something that blocks.

    Example: ta-data build ~/support --license CC-BY-4.0 --out runs/support/dataset
    """
    import msgspec

    from ta_data.build import BuildConfig, build
    from ta_data.clean.filters import FilterConfig
    from ta_data.cli_collect import named_columns
    from ta_data.config import DataConfig
    from ta_data.doctor.config import load_config
    from ta_data.domain import load_domain
    from ta_data.progress import status
    from ta_data.summary import print_summary
    from ta_schemas.errors import GateError

    parsed = validated(DataConfig, {"shares": shares}, where="command line").shares or Shares()
    given = {
        "seed": seed,
        "shares": parsed,
        "near": near,
        "mask": mask,
        "license": license,
        "columns": named_columns(column or []),
        "filters": FilterConfig(languages=tuple(language or ())),
    }
    config = validated(BuildConfig, given, where="command line")
    name = Path(source).resolve().stem if "://" not in source else load_domain(source)[1].name
    place = out or Path("runs") / name / "dataset"
    settings = load_config(doctor, {})
    with status() as tell:
        dataset = build(
            config,
            source,
            place,
            benchmarks=against,
            frozen=freeze,
            tokenizer=tokenizer,
            doctor=settings,
            replace=force,
            tell=tell,
        )
    stats = msgspec.json.decode((dataset.path / "stats.json").read_bytes())
    metrics = dataset.manifest.metrics
    if as_json:
        told = {"path": str(dataset.path), "digest": dataset.digest, **stats, "findings": metrics["findings"]}
        typer.echo(msgspec.json.encode(told))
    else:
        print_summary(dataset, stats)
        found = ", ".join(f"{check} {count:,}" for check, count in metrics["findings"].items())
        typer.echo(f"doctor:  {found or 'nothing found'}")
        typer.echo(f"report:  {dataset.path / 'report.html'}")
    if metrics["blocks"]:
        raise GateError(f"{dataset.path}: made, but the doctor blocks: {', '.join(metrics['blocks'])}")
