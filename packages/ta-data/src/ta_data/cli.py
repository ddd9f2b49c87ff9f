"""Command line of ta-data: `ta-data prepare data/linux-cli`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ta_data.cli_augment import augment_command
from ta_data.cli_build import build_command
from ta_data.cli_clean import (
    decontaminate_command,
    dedup_command,
    filter_command,
    pii_command,
    shards_command,
)
from ta_data.cli_collect import collect_command
from ta_data.cli_doctor import doctor_command
from ta_data.cli_versions import (
    croissant_command,
    diff_command,
    explain_command,
    feedback_command,
    forget_command,
    pairs_command,
)
from ta_data.config import DataConfig, Format, SplitBy, validated
from ta_schemas.errors import exit_with_one_line
from ta_schemas.jsonl import OnError

if TYPE_CHECKING:
    from ta_schemas.artifact import Artifact

app = typer.Typer(
    help="From raw files to a sealed dataset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def about() -> None:
    """From raw files to a sealed dataset."""


@app.command("prepare")
def prepare_command(
    source: Annotated[
        Path, typer.Argument(help="A domain folder, a folder with .md and .jsonl files, or one such file.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where the dataset goes. Default: runs/<name of SOURCE>/dataset.")
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="tokenizer.json of the model, or its folder; without it words are counted."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed deals the tasks out differently.")] = 0,
    split_by: Annotated[
        SplitBy | None,
        typer.Option(help="task: paraphrases together; group: whole groups. Default: as domain.yaml says."),
    ] = None,
    shares: Annotated[
        str | None, typer.Option(help="Per cent of the rows: train/validation/test, such as 80/10/10.")
    ] = None,
    format: Annotated[
        Format | None, typer.Option(help="How to read the files. Default: by their names and keys.")
    ] = None,
    freeze: Annotated[
        Path | None, typer.Option(help="An earlier dataset whose rows keep their splits.")
    ] = None,
    on_error: Annotated[
        OnError,
        typer.Option(help="At a bad row: raise (stop, name it) or skip (leave it out, count it)."),
    ] = "raise",
    force: Annotated[bool, typer.Option("--force", help="Replace the artifact at --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Turn a knowledge base or chat data into train, validation and test.

    Reads Markdown knowledge bases and JSONL: OpenAI messages, ShareGPT, Alpaca,
    prompt/completion. Writes train.jsonl, validation.jsonl, test.jsonl,
    dropped.jsonl, stats.json and README.md, the dataset card.

    Example: ta-data prepare data/linux-cli --out runs/linux-cli/dataset

    Example: ta-data prepare tickets.jsonl --split-by group --on-error skip
    """
    from ta_data.prepare import prepare

    given: dict[str, Any] = {
        "seed": seed,
        "split_by": split_by,
        "shares": shares,
        "format": format,
        "on_error": on_error,
        "tokenizer": tokenizer,
    }
    config = validated(DataConfig, given, where="command line")
    place = out or Path("runs") / source.resolve().stem / "dataset"
    _show(prepare(config, source, place, frozen=freeze, replace=force), as_json=as_json)


app.command("build")(build_command)
app.command("collect")(collect_command)
app.command("filter")(filter_command)
app.command("pii")(pii_command)
app.command("dedup")(dedup_command)
app.command("decontaminate")(decontaminate_command)
app.command("shards")(shards_command)
app.command("augment")(augment_command)
app.command("doctor")(doctor_command)
app.command("pairs")(pairs_command)
app.command("feedback")(feedback_command)
app.command("diff")(diff_command)
app.command("explain")(explain_command)
app.command("forget")(forget_command)
app.command("croissant")(croissant_command)


def _show(artifact: "Artifact", *, as_json: bool) -> None:
    import msgspec

    stats = msgspec.json.decode((artifact.path / "stats.json").read_bytes())
    if as_json:
        ignored = artifact.manifest.metrics["ignored_files"]
        result = {"path": str(artifact.path), "digest": artifact.digest, **stats, "ignored_files": ignored}
        typer.echo(msgspec.json.encode(result))
        return

    from ta_data.summary import print_summary

    print_summary(artifact, stats)


def main() -> None:
    """Entry point."""
    exit_with_one_line(app)
