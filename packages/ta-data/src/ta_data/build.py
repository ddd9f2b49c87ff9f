"""`ta-data build`: from a messy folder to a sealed dataset with a report, every row accounted for.

collect → questions in documents → checks → filters → personal data → benchmark → near-duplicates → split →
doctor. `prepare` is the strict sibling for a curated domain: there the first bad row is an error.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from ta_data.card import render_card
from ta_data.checks import Bad, Checker, Record
from ta_data.clean.decontaminate import Benchmarks
from ta_data.clean.filters import FilterConfig, fault, mend
from ta_data.clean.keys import row_keys
from ta_data.clean.language import is_mojibake
from ta_data.clean.near import Texts
from ta_data.clean.parts import parts
from ta_data.clean.pii import TYPES, Masker
from ta_data.clean.scrub import scrub_row
from ta_data.cluster_split import random_leak, split_units, units_of
from ta_data.collect.corpus import left_out_row
from ta_data.collect.folder import Account, read_sources, sources_of
from ta_data.collect.outcome import Limits
from ta_data.config import Shares
from ta_data.doctor.config import DoctorConfig
from ta_data.doctor.diagnose import diagnose
from ta_data.doctor.html import render_html
from ta_data.domain import Domain, load_domain
from ta_data.groups import digest
from ta_data.places import file_of, with_line
from ta_data.prepare import PRODUCER, with_system
from ta_data.progress import Tell, counted, silent
from ta_data.questions import conversations_in
from ta_data.split import SPLITS
from ta_data.spool import Spool
from ta_data.stats import Described, load_counting
from ta_data.versions.version import digest_of, old_splits
from ta_schemas.artifact import Artifact, ArtifactWriter, refuse_existing, sealed
from ta_schemas.errors import InputError
from ta_schemas.jsonl import to_object, to_row, write_jsonl
from ta_schemas.rows import ConversationRow, DocumentRow, Split

Records = Iterator[Record | Bad]
"""What goes from step to step: rows, and what was left out on the way."""


class BuildConfig(BaseModel):
    """What `build` is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    shares: Shares = Field(default_factory=Shares)
    near: float = Field(
        default=0.8, gt=0, le=1, description="Jaccard of near-duplicates, and of one unit in a split"
    )
    mask: bool = Field(default=True, description="mask personal data and secrets")
    license: str = Field(default="", description="of rows that bring none")
    columns: dict[str, str] = Field(
        default_factory=dict, description="role: column of tables whose names do not tell"
    )
    filters: FilterConfig = Field(default_factory=FilterConfig)
    limits: Limits = Field(default_factory=Limits)


def build(
    config: BuildConfig,
    source: Path | str,
    out: Path,
    *,
    benchmarks: list[Path] | None = None,
    frozen: Path | None = None,
    tokenizer: Path | None = None,
    doctor: DoctorConfig | None = None,
    replace: bool = False,
    tell: Tell = silent,
) -> Artifact:
    """Make a `dataset` artifact of whatever is in a folder or file.

    Rows stand on the disk between the steps: a million need 2 GB of memory at most. `frozen` is an earlier
    dataset whose rows keep their splits. Raises InputError where nothing could be kept.
    """
    root, domain = load_domain(source)
    benchmarks = [*(benchmarks or []), *([root / domain.benchmark] if domain.benchmark else [])]
    counting = load_counting(tokenizer)
    refuse_existing(out, replace=True)
    old = old_splits(frozen) if frozen else {}
    account, masked = Account(), Counter[str]()
    records = collected(config, source, account)
    records = checked(records, config.filters)
    if config.mask:
        records = scrubbed(records, masked)
    records = decontaminated(records, benchmarks, domain.refusal)
    with Spool(Record) as rows, Spool(Bad) as left:
        for record in counted(records, "reading, checking and masking", tell):
            if isinstance(record, Bad):
                left.append(record)
            else:
                rows.append(with_system(record, domain.system_prompt))
        resolved = _resolved(config, domain, account, benchmarks, old, counting.digest)
        if not replace and (done := sealed(out, kind="dataset", config=resolved, parents=[])):
            return done
        refuse_existing(out, replace=replace)
        tell(f"looking for near-duplicates among {len(rows):,} rows")
        gone = near_duplicates(rows, config.near)
        for i, of in gone.items():
            left.append(Bad(rows[i].where, "near-duplicate", f"resembles {rows[of].row.id}", rows[i].row.id))
        reasons = Counter(bad.reason for bad in left)
        if len(rows) == len(gone):
            raise InputError(
                f"{source}: nothing could be kept: {', '.join(sorted(reasons)) or 'no conversation found'}"
            )

        def kept() -> Iterator[Record]:
            return (record for i, record in enumerate(rows) if i not in gone)

        tell(f"splitting {len(rows) - len(gone):,} rows")
        units = units_of((r.row for r in kept()), near=config.near, by_group=domain.split.by == "group")
        splits = split_units((r.row for r in kept()), units, shares=config.shares, seed=config.seed, frozen=old)
        described = Described({file_of(r.where): _format(r) for r in kept()}, counting)
        for split, record in zip(splits, kept(), strict=True):
            described.add(split, record)
        summary = account.summary()
        stats = described.as_json(reasons) | {
            "files": summary["files"],
            "not_read": [f for f in account.files if f["status"] != "ok"],
            "columns": summary["columns"],
            "masked_spans": masked.total(),
            "masked": dict(sorted(masked.items())),
            "units": len(set(units)),
            "row_random_split_would_leak": round(random_leak(units, shares=config.shares, seed=config.seed), 4),
        }
        with ArtifactWriter(out, kind="dataset", producer=PRODUCER, config=resolved, replace=replace) as writer:
            for name in SPLITS:
                its = (r.row for r, split in zip(kept(), splits, strict=True) if split == name)
                write_jsonl(writer.path / f"{name}.jsonl", its)
            write_jsonl(writer.path / "dropped.jsonl", map(left_out_row, left))
            tell("writing the report")
            _report(
                writer, resolved, stats, next(iter(rows)).row, doctor or DoctorConfig(), tokenizer, benchmarks
            )
    return Artifact.open(out, kind="dataset", verify=False)


def _report(
    writer: ArtifactWriter,
    resolved: dict[str, Any],
    stats: dict[str, Any],
    example: ConversationRow,
    doctor: DoctorConfig,
    tokenizer: Path | None,
    benchmarks: list[Path],
) -> None:
    """Counts, card and the doctor's report, beside the rows."""
    (writer.path / "stats.json").write_bytes(msgspec.json.format(msgspec.json.encode(stats)) + b"\n")
    (writer.path / "README.md").write_text(render_card(resolved, stats, example=example), encoding="utf-8")
    report = diagnose(writer.path, doctor, tokenizer=tokenizer, benchmarks=benchmarks, made_with=resolved)
    page = render_html(report._replace(source=resolved["title"] or resolved["domain"]))
    (writer.path / "report.html").write_text(page, encoding="utf-8")
    writer.metrics["rows"] = {name: stats["splits"][name]["rows"] for name in SPLITS}
    writer.metrics["dropped"] = sum(stats["funnel"]["drops"].values())
    writer.metrics["findings"] = {f.check: f.count for f in report.findings}
    writer.metrics["blocks"] = [f.check for f in report.findings if f.severity == "block"]
    writer.metrics["ignored_files"] = [f["path"] for f in stats["not_read"]]


def collected(config: BuildConfig, source: Path | str, account: Account) -> Records:
    """Conversations of every file; a document gives the questions it holds, or is left out as one without."""
    sources = sources_of(source, license=config.license, columns=config.columns)
    for row in read_sources(sources, config.limits, account):
        if isinstance(row, Bad):
            yield row
        elif isinstance(row, ConversationRow):
            yield Record(with_line(row.source), row)
        else:
            found = list(conversations_in(row))
            yield from (Record(with_line(made.source), made) for made in found)
            if not found:
                yield _without_question(row)


def checked(records: Records, filters: FilterConfig) -> Records:
    """Shape, exact duplicates and filters. An id that is used already gets its place added."""
    checker, ids = Checker(), set[int]()
    for record in records:
        if isinstance(record, Bad):
            yield record
            continue
        where, row = record
        if is_mojibake("\n".join(m.content for m in row.messages)):
            row = to_row(mend(to_object(row)), ConversationRow)
        if digest(row.id) in ids:
            row = msgspec.structs.replace(row, id=f"{row.id}@{where}")
        ids.add(digest(row.id))
        bad = checker.fault(Record(where, row))
        if bad is None and (reason := fault(to_object(row), filters)):
            bad = Bad(where, *reason, row.id)
        yield bad or Record(where, row)


def scrubbed(records: Records, masked: Counter[str]) -> Records:
    """Personal data and secrets masked; `masked` counts the findings by type."""
    masker = Masker()
    for record in records:
        if isinstance(record, Record):
            clean, hits = scrub_row(to_object(record.row), frozenset(TYPES), masker)
            if hits:
                masked.update(span.type for _, span in hits)
                record = Record(record.where, to_row(clean, ConversationRow))
        yield record


def decontaminated(records: Records, benchmarks: list[Path], refusal: str) -> Records:
    """Without what touches a benchmark."""
    if not benchmarks:
        yield from records
        return
    held = Benchmarks(benchmarks, refusal=refusal)
    for record in records:
        if isinstance(record, Record) and (touch := held.touches(to_object(record.row))):
            what = f"touches the held-out question {touch.held_id!r}"
            record = Bad(record.where, f"benchmark: {touch.contact}", what, record.row.id)
        yield record


def near_duplicates(rows: Spool[Record], near: float) -> dict[int, int]:
    """Rows whose prompt and answer both resemble an earlier one's, with equal keys: their number, and its."""
    texts = Texts(fields=2, threshold=near)
    for record in rows:
        texts.add(parts(to_object(record.row)))

    def same_keys(i: int, j: int) -> bool:
        mine, other = (row_keys(to_object(rows[k].row), ()) for k in (i, j))
        return mine == other

    return {found.row: found.of for found in texts.duplicates(same_keys)}


def _resolved(
    config: BuildConfig,
    domain: Domain,
    account: Account,
    benchmarks: Iterable[Path],
    old: Mapping[str, Split],
    tokenizer: str | None,
) -> dict[str, Any]:
    plain = config.model_dump(mode="json")
    return {
        **plain,
        "domain": domain.name,
        **domain.model_dump(include={"title", "language", "scope", "system_prompt", "refusal"}),
        "license": domain.license or config.license,
        "split": {"by": "cluster", "shares": plain["shares"]},
        "benchmark": [hashlib.sha256(file.read_bytes()).hexdigest() for file in benchmarks],
        "frozen": digest_of(old),
        "tokenizer": tokenizer,
        "inputs": [{"path": f["path"], "sha256": f["sha256"]} for f in account.files if "sha256" in f],
    }


def _format(record: Record) -> str:
    if record.row.extra.get("document"):
        return "document"
    return PurePosixPath(file_of(record.where)).suffix.lstrip(".").lower() or "other"


def _without_question(row: DocumentRow) -> Bad:
    detail = "no question in its structure; ta-data augment asks a teacher for some"
    return Bad(row.id, "document without a question", detail, row.id)
