"""`ta-data prepare`: raw files to a sealed dataset; each row is kept, or dropped with a reason."""

from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ta_data.card import render_card
from ta_data.checks import Bad, Checker, DropRow, Record
from ta_data.cluster_split import random_leak
from ta_data.collect.sources import Found, Input, collect, find_inputs
from ta_data.config import DataConfig
from ta_data.disjoint import Held, load_held
from ta_data.domain import Domain, load_domain
from ta_data.split import SPLITS, split_rows, unit_of
from ta_data.stats import Described, load_counting
from ta_data.versions.version import digest_of, old_splits
from ta_schemas.artifact import Artifact, ArtifactWriter, sealed
from ta_schemas.errors import InputError
from ta_schemas.jsonl import OnError, write_jsonl
from ta_schemas.rows import Message

PRODUCER = f"ta-data {version('ta-data')}"


NO_FAULT = frozenset(
    {"document without a question", "hidden sheet", "page without text", "attachment not read"}
)
"""What documents are like: counted, and no reason to stop."""


class Sifted(NamedTuple):
    """What came through the checks, and what did not."""

    kept: list[Record]
    dropped: list[Bad]


def prepare(
    config: DataConfig, source: Path, out: Path, *, frozen: Path | None = None, replace: bool = False
) -> Artifact:
    """Collect the conversations of `source`, check them, split them, describe them and seal them at `out`.

    `frozen` is an earlier dataset whose rows keep their splits.
    Raises InputError for what is wrong in `source`, ArtifactError where `out` holds something else.
    """
    root, domain = load_domain(source)
    domain = overridden(domain, config)
    found = find_inputs(root, domain, config.format)
    counting = load_counting(config.tokenizer)
    held = load_held(root, domain.benchmark)
    resolved = resolve(config, domain, found, tokenizer=counting.digest, benchmark=held.digest)
    old = old_splits(frozen) if frozen else {}
    if old:
        resolved["frozen"] = digest_of(old)
    if not replace and (done := sealed(out, kind="dataset", config=resolved, parents=[])):
        return done
    writer = ArtifactWriter(out, kind="dataset", producer=PRODUCER, config=resolved, replace=replace)

    formats: dict[str, str] = {}
    columns: dict[str, dict[str, str]] = {}
    records = collect(found.inputs, domain.refusal, formats, columns)
    kept, dropped = sift(records, held, root=root, on_error=config.on_error)
    kept = [with_system(record, domain.system_prompt) for record in kept]
    rows = [record.row for record in kept]
    splits = split_rows(rows, by=domain.split.by, shares=domain.split, seed=config.seed, frozen=old)
    described = Described(formats, counting)
    place = {row.id: name for name in SPLITS for row in splits[name]}
    for record in kept:
        described.add(place[record.row.id], record)
    stats = described.as_json(Counter(bad.reason for bad in dropped))
    units = [unit_of(row, domain.split.by) for row in rows]
    stats["units"] = len(set(units))
    stats["row_random_split_would_leak"] = round(random_leak(units, shares=domain.split, seed=config.seed), 4)
    if columns:
        stats["columns"] = columns

    with writer:
        for name in SPLITS:
            write_jsonl(writer.path / f"{name}.jsonl", splits[name])
        write_jsonl(writer.path / "dropped.jsonl", [drop_row(bad) for bad in dropped])
        (writer.path / "stats.json").write_bytes(msgspec.json.format(msgspec.json.encode(stats)) + b"\n")
        card = render_card(resolved, stats, example=splits["train"][0])
        (writer.path / "README.md").write_text(card, encoding="utf-8")
        writer.metrics["rows"] = {name: len(splits[name]) for name in SPLITS}
        writer.metrics["tasks"] = stats["all"]["tasks"]
        writer.metrics["groups"] = stats["all"]["groups"]
        writer.metrics["dropped"] = len(dropped)
        writer.metrics["ignored_files"] = found.ignored
    return Artifact.open(out, kind="dataset", verify=False)


def sift(records: Iterable[Record | Bad], held: Held, *, root: Path, on_error: OnError) -> Sifted:
    """Keep or drop each record. A bad one raises unless errors are skipped; contamination never does."""
    checker = Checker()
    sifted = Sifted([], [])
    for record in records:
        bad = record if isinstance(record, Bad) else checker.fault(record)
        if bad and on_error == "raise" and bad.reason not in NO_FAULT:
            raise InputError(f"{root / bad.where}: {bad.detail} (--on-error skip leaves such rows out)")
        if isinstance(record, Record) and not bad and (touch := held.touches(record.row)):
            what = f"touches the held-out question {touch.held_id!r}"
            bad = Bad(record.where, f"benchmark: {touch.contact}", what, record.row.id)
        if bad:
            sifted.dropped.append(bad)
        elif isinstance(record, Record):
            sifted.kept.append(record)
    if not sifted.kept:
        first, n = sifted.dropped[0], len(sifted.dropped)
        raise InputError(f"{root / first.where}: {first.detail}; and none of the {n} rows could be kept")
    return sifted


def overridden(domain: Domain, config: DataConfig) -> Domain:
    """The domain with what the configuration says otherwise."""
    shares = config.shares.model_dump() if config.shares else {}
    by = {"by": config.split_by} if config.split_by else {}
    return domain.model_copy(update={"split": domain.split.model_copy(update={**shares, **by})})


def resolve(
    config: DataConfig, domain: Domain, found: Found, *, tokenizer: str | None, benchmark: str | None
) -> dict[str, Any]:
    """Everything that determines the output, without paths of this machine."""
    shares = {name: getattr(domain.split, name) for name in SPLITS}
    return {
        "domain": domain.name,
        **domain.model_dump(include={"title", "language", "license", "scope", "system_prompt", "refusal"}),
        "seed": config.seed,
        "split": {"by": domain.split.by, "shares": shares},
        "format": config.format,
        "on_error": config.on_error,
        "tokenizer": tokenizer,
        "benchmark": benchmark,
        "inputs": [_input(file) for file in found.inputs],
    }


def _input(file: Input) -> dict[str, Any]:
    told: dict[str, Any] = {"license": file.license, "columns": dict(file.columns)}
    if file.format == "documents":  # the other formats are told by the file itself
        told["format"] = file.format
    return {"path": file.relative, "sha256": file.sha256(), **{key: v for key, v in told.items() if v}}


def with_system(record: Record, prompt: str) -> Record:
    """The record with the domain's system prompt in front, unless it brought its own."""
    where, row = record
    if not prompt or row.messages[0].role == "system":
        return record
    messages = [Message(role="system", content=prompt), *row.messages]
    return Record(where, msgspec.structs.replace(row, messages=messages))


def drop_row(bad: Bad) -> DropRow:
    """A line of `dropped.jsonl`; what has no id is named by its place."""
    return DropRow(id=bad.id or bad.where, reason=bad.reason, source=bad.where, detail=bad.detail)
