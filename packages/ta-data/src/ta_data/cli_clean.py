"""The cleaning commands, each of use in a pipe: JSON lines in, JSON lines out, a JSON summary on stderr."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ta_data.config import validated

SourceArgument = Annotated[
    Path, typer.Argument(help="JSON lines, an artifact, a folder or file of any kind, or - for stdin.")
]
OutOption = Annotated[Path | None, typer.Option(help="Where the rows go. Default: stdout.")]
SummaryOption = Annotated[Path | None, typer.Option(help="Where the JSON summary goes. Default: stderr.")]
DroppedOption = Annotated[Path | None, typer.Option(help="Write what was dropped, with its reason.")]


def dedup_command(
    source: SourceArgument = Path("-"),
    out: OutOption = None,
    summary: SummaryOption = None,
    dropped: DroppedOption = None,
    threshold: Annotated[float, typer.Option(help="Jaccard of word 3-grams, 0 to 1.")] = 0.8,
    on: Annotated[
        Literal["both", "prompt", "answer", "text"],
        typer.Option(help="both: prompt and answer must each resemble the same earlier row's."),
    ] = "both",
    keep_keys: Annotated[
        bool, typer.Option(help="Keep rows whose numbers, code, options or names differ.")
    ] = True,
    key_field: Annotated[
        list[str] | None, typer.Option(help="A field that must agree too, such as group. May be repeated.")
    ] = None,
) -> None:
    """Drop near-duplicates; the first of them stays.

    MinHash finds candidates, the exact Jaccard similarity decides. Rows that differ
    in a key entity (ls -a and ls -A, Asthma and Measles) are kept.

    Example: ta-data dedup rows.jsonl --dropped dropped.jsonl > kept.jsonl
    """
    from ta_data.clean.dedup import DedupConfig, dedup
    from ta_data.pipe import write_summary

    given: dict[str, Any] = {
        "threshold": threshold, "on": on, "keep_keys": keep_keys, "key_fields": tuple(key_field or ()),
    }  # fmt: skip
    config = validated(DedupConfig, given, where="command line")
    write_summary(dedup(config, source, out, dropped=dropped), summary)


def decontaminate_command(
    source: SourceArgument = Path("-"),
    against: Annotated[
        list[Path] | None, typer.Option(help="A benchmark, JSON lines of any origin. May be repeated.")
    ] = None,
    out: OutOption = None,
    summary: SummaryOption = None,
    dropped: DroppedOption = None,
) -> None:
    """Drop rows that touch a held-out question or its answer.

    A union of four tests: equal question, eight words in a row, word Jaccard of
    0.7, equal answer. The summary counts the contacts of each.

    Example: ta-data decontaminate rows.jsonl --against benchmark.jsonl > clean.jsonl
    """
    from ta_data.clean.decontaminate import decontaminate
    from ta_data.pipe import write_summary
    from ta_schemas.errors import InputError

    if not against:
        raise InputError("--against: name the benchmark to compare with")
    write_summary(decontaminate(source, against, out, dropped=dropped), summary)


def pii_command(
    source: SourceArgument = Path("-"),
    out: OutOption = None,
    summary: SummaryOption = None,
    dropped: DroppedOption = None,
    action: Annotated[
        Literal["mask", "drop", "report"],
        typer.Option(help="mask: replace by <EMAIL-1>; drop: leave such rows out; report: only tell."),
    ] = "mask",
    type: Annotated[
        list[str] | None, typer.Option(help="Look for this type alone. May be repeated. Default: all.")
    ] = None,
    spans: Annotated[
        Path | None, typer.Option(help="Write a line a finding: id, field, type, start, end.")
    ] = None,
) -> None:
    """Find personal data and secrets, confirmed by checksum where there is one.

    Types: private-key, api-key, jwt, password, url-credentials, email, iban, card,
    ssn, phone, ip, mac. The same value gets the same placeholder all through a run.

    Example: ta-data pii tickets.jsonl --spans spans.jsonl > masked.jsonl
    """
    from ta_data.clean.pii import TYPES
    from ta_data.clean.scrub import scrub
    from ta_data.pipe import write_summary
    from ta_schemas.errors import InputError

    unknown = set(type or ()) - set(TYPES)
    if unknown:
        raise InputError(f"--type: {sorted(unknown)[0]!r} is none of {', '.join(TYPES)}")
    types = frozenset(type or TYPES)
    write_summary(scrub(source, out, action=action, types=types, spans=spans, dropped=dropped), summary)


def filter_command(
    source: SourceArgument = Path("-"),
    out: OutOption = None,
    summary: SummaryOption = None,
    dropped: DroppedOption = None,
    min_prompt_words: Annotated[int, typer.Option(help="Shorter prompts are dropped.")] = 0,
    min_answer_words: Annotated[int, typer.Option(help="Shorter answers are dropped.")] = 1,
    max_words: Annotated[int, typer.Option(help="Longer rows are dropped; 0: none.")] = 0,
    language: Annotated[
        list[str] | None, typer.Option(help="Keep this language (ISO 639-1). May be repeated.")
    ] = None,
    refusals: Annotated[bool, typer.Option(help="Drop answers such as 'As an AI, I cannot…'.")] = True,
    mojibake: Annotated[bool, typer.Option(help="Mend text read in a wrong encoding, else drop it.")] = True,
    repetition: Annotated[bool, typer.Option(help="Drop answers that repeat one line.")] = True,
) -> None:
    """Keep rows that are fit to learn from; the others are dropped with a reason.

    Example: ta-data filter rows.jsonl --language en --max-words 800 > fit.jsonl
    """
    from ta_data.clean.filters import FilterConfig, filter_rows
    from ta_data.pipe import write_summary

    given = {
        "min_prompt_words": min_prompt_words,
        "min_answer_words": min_answer_words,
        "max_words": max_words,
        "languages": tuple(language or ()),
        "refusals": refusals,
        "mojibake": mojibake,
        "repetition": repetition,
    }
    config = validated(FilterConfig, given, where="command line")
    write_summary(filter_rows(config, source, out, dropped=dropped), summary)


def shards_command(
    folder: Annotated[Path, typer.Argument(help="A folder of JSON lines files.")],
    out: Annotated[Path, typer.Option(help="A folder for the results, a file a shard.")],
    step: Annotated[Literal["filter", "pii"], typer.Option(help="What is done to each shard.")] = "filter",
    executor: Annotated[
        Literal["local", "ray"], typer.Option(help="local processes, or Ray (RAY_ADDRESS names a cluster).")
    ] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes at a time.")] = 2,
    summary: SummaryOption = None,
) -> None:
    """Run filter or pii over many files at once; the output is the same for every executor.

    Example: ta-data shards corpus/ --step pii --workers 8 --out masked/
    """
    from ta_data.executor import run_shards
    from ta_data.pipe import write_summary

    write_summary(run_shards(folder, out, step, executor=executor, workers=workers), summary)
