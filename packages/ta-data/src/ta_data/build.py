"""`ta-data build`: from a messy folder to a sealed dataset with a report, every row accounted for.

collect → questions in documents → checks → filters → personal data → benchmark → near-duplicates → split →
doctor. `prepare` is the strict sibling for a curated domain: there the first bad row is an error.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
from ta_data.prepare import PRODUCER, with_system
from ta_data.questions import conversations_in
from ta_data.split import SPLITS
from ta_data.stats import describe, load_counting
from ta_schemas.artifact import Artifact, ArtifactWriter, sealed
from ta_schemas.errors import InputError
from ta_schemas.jsonl import read_jsonl, to_object, to_row, write_jsonl
from ta_schemas.rows import ConversationRow, DocumentRow, Split


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
    filters: FilterConfig = Field(default_factory=FilterConfig)
    limits: Limits = Field(default_factory=Limits)


class Step(NamedTuple):
    """Rows that came through, in order, and what was left out on the way."""

    kept: list[Record]
    dropped: list[Bad]


def build(
    config: BuildConfig,
    source: Path,
    out: Path,
    *,
    benchmarks: list[Path] | None = None,
    frozen: Path | None = None,
    tokenizer: Path | None = None,
    replace: bool = False,
) -> Artifact:
    """Make a `dataset` artifact of whatever is in a folder or file.

    `frozen` is an earlier dataset whose rows keep their splits. Raises InputError where nothing could be kept.
    """
    root, domain = load_domain(source)
    benchmarks = [*(benchmarks or []), *([root / domain.benchmark] if domain.benchmark else [])]
    counting = load_counting(tokenizer)
    account, masker = Account(), Masker()
    step = collected(config, source, account)
    step = checked(step, config.filters)
    masked = 0
    if config.mask:
        step, masked = scrubbed(step, masker)
    step = decontaminated(step, benchmarks)
    step = deduplicated(step, config.near)
    if not step.kept:
        reasons = ", ".join(sorted({bad.reason for bad in step.dropped})) or "no conversation found"
        raise InputError(f"{source}: nothing could be kept: {reasons}")
    kept = [with_system(record, domain.system_prompt) for record in step.kept]
    rows = [record.row for record in kept]
    units = units_of(rows, near=config.near, by_group=domain.split.by == "group")
    old = old_splits(frozen) if frozen else {}
    splits = split_units(rows, units, shares=config.shares, seed=config.seed, frozen=old)
    files = {r.where.rpartition(":")[0]: _format(r) for r in kept}
    stats = describe(splits, kept, step.dropped, formats=files, counting=counting)
    stats |= {
        "files": account.summary()["files"],
        "not_read": [f for f in account.files if f["status"] != "ok"],
        "columns": account.summary()["columns"],
        "masked_spans": masked,
        "units": len(set(units)),
        "row_random_split_would_leak": round(random_leak(units, shares=config.shares, seed=config.seed), 4),
    }
    resolved = _resolved(config, domain, account, benchmarks, old, counting.digest)
    if not replace and (done := sealed(out, kind="dataset", config=resolved, parents=[])):
        return done
    with ArtifactWriter(out, kind="dataset", producer=PRODUCER, config=resolved, replace=replace) as writer:
        for name in SPLITS:
            write_jsonl(writer.path / f"{name}.jsonl", splits[name])
        write_jsonl(writer.path / "dropped.jsonl", [left_out_row(bad) for bad in step.dropped])
        (writer.path / "stats.json").write_bytes(msgspec.json.format(msgspec.json.encode(stats)) + b"\n")
        card = render_card(resolved, stats, example=next(row for n in SPLITS for row in splits[n]))
        (writer.path / "README.md").write_text(card, encoding="utf-8")
        report = diagnose(writer.path, DoctorConfig(), tokenizer=tokenizer, benchmarks=benchmarks)
        page = render_html(report._replace(source=resolved["title"] or resolved["domain"]))
        (writer.path / "report.html").write_text(page, encoding="utf-8")
        writer.metrics |= {"rows": {n: len(splits[n]) for n in SPLITS}, "dropped": len(step.dropped)}
        writer.metrics["findings"] = {f.check: f.count for f in report.findings}
        writer.metrics["ignored_files"] = [f["path"] for f in stats["not_read"]]
    return Artifact.open(out, kind="dataset", verify=False)


def collected(config: BuildConfig, source: Path, account: Account) -> Step:
    """Conversations of every file; a document gives the questions it holds, or is left out as one without."""
    step = Step([], [])
    for row in read_sources(sources_of(source, license=config.license), config.limits, account):
        if isinstance(row, Bad):
            step.dropped.append(row)
        elif isinstance(row, ConversationRow):
            step.kept.append(Record(_where(row), row))
        else:
            found = list(conversations_in(row))
            step.kept.extend(Record(_where(made), made) for made in found)
            if not found:
                step.dropped.append(_without_question(row))
    return step


def checked(step: Step, filters: FilterConfig) -> Step:
    """Shape, exact duplicates and filters. An id that is used already gets its place added."""
    checker, done, ids = Checker(), Step([], list(step.dropped)), set[str]()
    for where, row in step.kept:
        if is_mojibake("\n".join(m.content for m in row.messages)):
            row = to_row(mend(to_object(row)), ConversationRow)
        if row.id in ids:
            row = msgspec.structs.replace(row, id=f"{row.id}@{where}")
        ids.add(row.id)
        bad = checker.fault(Record(where, row))
        if bad is None and (reason := fault(to_object(row), filters)):
            bad = Bad(where, *reason, row.id)
        if bad:
            done.dropped.append(bad)
        else:
            done.kept.append(Record(where, row))
    return done


def scrubbed(step: Step, masker: Masker) -> tuple[Step, int]:
    """Personal data and secrets masked; the number of findings."""
    kept, masked = [], 0
    for where, row in step.kept:
        clean, hits = scrub_row(to_object(row), frozenset(TYPES), masker)
        masked += len(hits)
        kept.append(Record(where, to_row(clean, ConversationRow) if hits else row))
    return Step(kept, step.dropped), masked


def decontaminated(step: Step, benchmarks: list[Path]) -> Step:
    """Without what touches a benchmark."""
    if not benchmarks:
        return step
    held, done = Benchmarks(benchmarks), Step([], list(step.dropped))
    for record in step.kept:
        if touch := held.touches(to_object(record.row)):
            what = f"touches the held-out question {touch.held_id!r}"
            done.dropped.append(Bad(record.where, f"benchmark: {touch.contact}", what, record.row.id))
        else:
            done.kept.append(record)
    return done


def deduplicated(step: Step, near: float) -> Step:
    """Without rows whose prompt and answer both resemble an earlier row's and whose keys are equal."""
    texts = Texts(fields=2, threshold=near)
    plain = [to_object(record.row) for record in step.kept]
    for row in plain:
        texts.add(parts(row))
    gone = {n.row: n for n in texts.duplicates(lambda i, j: row_keys(plain[i], ()) == row_keys(plain[j], ()))}
    dropped = [
        Bad(step.kept[i].where, "near-duplicate", f"resembles {plain[n.of]['id']}", plain[i]["id"])
        for i, n in gone.items()
    ]
    return Step([r for i, r in enumerate(step.kept) if i not in gone], [*step.dropped, *dropped])


def old_splits(dataset: Path) -> dict[str, Split]:
    """The split of every row of an earlier dataset."""
    artifact = Artifact.open(dataset, kind="dataset")
    return {
        row.id: name for name in SPLITS for row in read_jsonl(artifact.file(f"{name}.jsonl"), ConversationRow)
    }


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
        **domain.model_dump(include={"title", "language", "scope", "system_prompt"}),
        "license": domain.license or config.license,
        "split": {"by": "cluster", "shares": plain["shares"]},
        "benchmark": [hashlib.sha256(file.read_bytes()).hexdigest() for file in benchmarks],
        "frozen": hashlib.sha256(repr(sorted(old.items())).encode()).hexdigest() if old else None,
        "tokenizer": tokenizer,
        "inputs": [{"path": f["path"], "sha256": f["sha256"]} for f in account.files if "sha256" in f],
    }


def _where(row: ConversationRow) -> str:
    return row.source if ":" in row.source else f"{row.source}:1"


def _format(record: Record) -> str:
    if record.row.extra.get("document"):
        return "document"
    name = record.where.rpartition(":")[0].partition("#")[0]
    return name.rpartition(".")[2].lower() if "." in name else "other"


def _without_question(row: DocumentRow) -> Bad:
    detail = "no question in its structure; ta-data augment asks a teacher for some"
    return Bad(row.id, "document without a question", detail, row.id)
