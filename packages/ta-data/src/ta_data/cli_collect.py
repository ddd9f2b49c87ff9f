"""`ta-data collect`: raw files of any kind to rows with a source."""

from pathlib import Path
from typing import Annotated

import typer


def collect_command(
    source: Annotated[
        str,
        typer.Argument(help="A folder or file of anything, a domain folder, a URL, hf://datasets/OWNER/NAME."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write a corpus artifact here. Default: JSON lines on stdout.")
    ] = None,
    summary: Annotated[Path | None, typer.Option(help="Where the JSON summary goes. Default: stderr.")] = None,
    license: Annotated[str, typer.Option(help="SPDX identifier for rows that bring none.")] = "",
    column: Annotated[
        list[str] | None,
        typer.Option(help="role=column where names do not tell: prompt=Betreff. May be repeated."),
    ] = None,
    max_file_mb: Annotated[int, typer.Option(help="Larger files are not read (line formats stream).")] = 64,
    timeout: Annotated[float, typer.Option(help="Seconds a reader may work without giving a row.")] = 20.0,
    show_mapping: Annotated[
        bool, typer.Option("--show-mapping", help="Only tell how each file and its columns would be read.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the artifact at --out.")] = False,
) -> None:
    """Read Markdown, HTML, text, PDF, DOCX, workbooks, CSV, JSON, dumps, mail, man pages and zips.

    Every file is read in a process of its own with limits: it is ok, skipped or an
    error, with a reason. Hidden text, hidden sheets, scripts and styles are left out.

    Example: ta-data collect ~/support --license CC-BY-4.0 --out runs/support/corpus

    Example: ta-data collect tickets.xlsx --show-mapping

    Example: ta-data collect ~/support | ta-data pii | ta-data dedup > rows.jsonl
    """
    from ta_data.collect.corpus import collect_corpus
    from ta_data.collect.folder import Account, read_sources, sources_of
    from ta_data.collect.outcome import Limits
    from ta_data.pipe import Out, write_summary
    from ta_data.progress import status
    from ta_schemas.jsonl import to_object
    from ta_schemas.rows import Row

    limits = Limits(file_mb=max_file_mb, silent_s=timeout)
    sources = sources_of(source, license=license, columns=named_columns(column or []))
    if show_mapping:
        from ta_data.collect.mapping import show_mapping as lines

        for line in lines(sources, limits):
            typer.echo(line)
        return
    if out is not None:
        with status() as tell:
            artifact = collect_corpus(sources, out, limits=limits, replace=force, tell=tell)
        write_summary({**_stats(artifact.path), "path": str(out), "digest": artifact.digest}, summary)
        return
    account = Account()
    with Out(None) as rows:
        for row in read_sources(sources, limits, account):
            if isinstance(row, Row):
                rows.write(to_object(row))
    files = [file for file in account.files if file["status"] != "ok"]
    write_summary({**account.summary(), "not_read": files}, summary)


def _stats(corpus: Path) -> dict[str, object]:
    import msgspec

    stats: dict[str, object] = msgspec.json.decode((corpus / "stats.json").read_bytes())
    return stats


def named_columns(given: list[str]) -> dict[str, str]:
    """The mapping of `role=column` options. Raises InputError for an unknown role."""
    from ta_data.collect.columns import NAMES
    from ta_schemas.errors import InputError

    columns = dict(pair.partition("=")[::2] for pair in given)
    for role, name in columns.items():
        if role not in NAMES or not name:
            raise InputError(f"--column {role}: expected role=column with a role of {', '.join(NAMES)}")
    return columns
