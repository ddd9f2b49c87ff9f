"""`ta-data doctor`: what is wrong with a dataset, before a run is paid for."""

from pathlib import Path
from typing import Annotated

import typer


def doctor_command(
    source: Annotated[
        Path, typer.Argument(help="A dataset or preferences artifact, a folder or a file of JSON lines, or -.")
    ] = Path("-"),
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="The model's folder: its tokenizer counts, its chat template is rendered."),
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="A benchmark to look for in the rows. May be repeated.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The length limit of the training run. [2048]")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML with limits and thresholds by check.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML page.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Look for what makes a training run fail, leak or learn the wrong thing.

    Exit code 0: nothing that blocks; 6: something does. Thresholds by check:

    thresholds: {several-answers: {severity: block, max_share: 0.01}, no-license: {severity: "off"}}

    Example: ta-data doctor runs/linux-cli/dataset --html doctor.html
    """
    from ta_data.doctor.config import load_config
    from ta_data.doctor.diagnose import diagnose
    from ta_data.pipe import write_summary
    from ta_schemas.errors import GateError

    settings = load_config(config, {"max_tokens": max_tokens})
    diagnosis = diagnose(source, settings, tokenizer=tokenizer, benchmarks=against)
    if html is not None:
        from ta_data.doctor.html import render_html

        html.write_text(render_html(diagnosis), encoding="utf-8")
    if summary is not None:
        write_summary(diagnosis.as_json(), summary)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(diagnosis.as_json()))
    else:
        from rich.console import Console

        from ta_data.doctor.terminal import print_report

        print_report(diagnosis, Console())
    bad = [f.check for f in diagnosis.findings if f.severity == "block" or strict]
    if bad:
        raise GateError(f"{source}: not fit to train on: {', '.join(bad)}")
