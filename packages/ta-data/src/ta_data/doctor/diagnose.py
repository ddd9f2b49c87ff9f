"""`ta-data doctor`: one pass over a dataset, and a report of what blocks, what warns and what it looks like."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ta_data.clean.decontaminate import Benchmarks
from ta_data.clean.language import language
from ta_data.clean.parts import Parts, parts
from ta_data.doctor.config import DoctorConfig
from ta_data.doctor.content import content_faults
from ta_data.doctor.findings import CHECKS, Finding, Findings
from ta_data.doctor.lengths import Lengths
from ta_data.doctor.shape import faults
from ta_data.doctor.splits import Between
from ta_data.doctor.template import Part, Template, TemplateError
from ta_data.pipe import Object, Rows
from ta_data.places import file_of
from ta_data.split import SPLITS
from ta_data.stats import load_counting
from ta_schemas.errors import InputError, SetupError
from ta_schemas.manifest import MANIFEST_NAME

PREVIEWS = 4
ORIGIN = (
    "files", "sources", "not_read", "columns", "masked", "split_by", "units", "row_random_split_would_leak",
)  # fmt: skip
"""Keys of a dataset's stats.json that the report shows."""


class Preview(NamedTuple):
    """A row of one source as the model sees it."""

    source: str
    id: str
    parts: list[Part]


class Diagnosis(NamedTuple):
    """What the doctor found."""

    source: str
    rows: int
    splits: dict[str, int]
    findings: list[Finding]
    funnel: dict[str, Any]
    origin: dict[str, Any]
    """What `build` or `prepare` wrote of files, columns, masking and the split; empty for other rows."""
    lengths: dict[str, Any]
    template: str
    previews: list[Preview]
    notes: list[str]

    @property
    def blocked(self) -> bool:
        """Whether a build should fail."""
        return any(finding.severity == "block" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """A plain object."""
        plain: dict[str, Any] = msgspec.to_builtins(self._asdict())
        return {
            "verdict": "blocked" if self.blocked else "warnings" if self.findings else "healthy",
            **plain,
            "findings": [finding.as_json() for finding in self.findings],
            "previews": [
                {"source": p.source, "id": p.id, "parts": [part._asdict() for part in p.parts]}
                for p in self.previews
            ],
        }


def diagnose(
    source: Path,
    config: DoctorConfig,
    *,
    tokenizer: Path | None = None,
    benchmarks: list[Path] | None = None,
    made_with: dict[str, Any] | None = None,
) -> Diagnosis:
    """Look at every row of a dataset, a preferences artifact, a folder or a file of JSON lines.

    `made_with` is the configuration of a dataset that has no manifest yet.
    Raises InputError where there is no row at all.
    """
    with Rows(source) as rows:
        if not len(rows) and not rows.bad:
            raise InputError(f"{source}: no rows in it")
        made = _manifest(source).get("config", {}) if made_with is None else made_with
        return _diagnose(source, rows, config, tokenizer, benchmarks, made)


def _diagnose(
    source: Path,
    rows: Rows,
    config: DoctorConfig,
    tokenizer: Path | None,
    benchmarks: list[Path] | None,
    made_with: dict[str, Any],
) -> Diagnosis:
    findings, notes = Findings(), []
    for bad in rows.bad:
        findings.add("unreadable", bad.where, bad.id, f"{bad.reason}: {bad.detail}")
    template = Template(tokenizer)
    refusal = str(made_with.get("refusal", ""))
    held = Benchmarks(benchmarks, refusal=refusal) if benchmarks else None
    between = Between(findings, config, split_by=made_with.get("split", {}).get("by", ""))
    lengths = Lengths(
        findings,
        load_counting(tokenizer),
        max_tokens=config.max_tokens,
        per_message=_added(template, tokenizer),
    )
    look = _Look(findings, config, license=str(made_with.get("license", "")))
    splits: Counter[str] = Counter()
    previews: dict[str, Preview] = {}
    for where, row in rows:
        row_id = str(row.get("id") or where)
        split = _split(where, row)
        splits[split] += 1
        wrong = list(faults(row))
        for check, what in wrong:
            findings.add(check, where, row_id, what)
        prompt, answer = parts(row)
        for check, what in content_faults(prompt, answer):
            findings.add(check, where, row_id, what)
        between.add(split, where, row, prompt, answer)
        look.add(where, row_id, row, Parts(prompt, answer))
        if held and (touch := held.touches(row)):
            findings.add("benchmark-contact", where, row_id, f"{touch.contact}: {touch.held_id}")
        messages = row.get("messages")
        system = _system(messages)
        lengths.add(where, row_id, f"{system}\n{prompt}", answer, messages=len(messages or [1, 1]))
        if isinstance(messages, list) and not wrong:
            _render(template, messages, where, row_id, row, previews, findings)
    between.finish(rows)
    notes += [between.skipped] if between.skipped else []
    notes += look.finish(sum(splits.values()))
    measured = lengths.report()
    return Diagnosis(
        source=str(source),
        rows=len(rows) + len(rows.bad),
        splits=dict(splits),
        findings=weighed(findings, config, len(rows) + len(rows.bad)),
        funnel=_funnel(source, len(rows)),
        origin={key: value for key, value in _stats(source).items() if key in ORIGIN},
        lengths=measured,
        template=template.name,
        previews=list(previews.values()),
        notes=notes,
    )


def weighed(findings: Findings, config: DoctorConfig, rows: int) -> list[Finding]:
    """The findings over their thresholds, blocking ones first."""
    found = []
    for name, check in CHECKS.items():
        count = findings.counts[name]
        threshold = config.thresholds.get(name)
        severity = (threshold and threshold.severity) or check.severity
        allowed = max(threshold.max_count, threshold.max_share * rows) if threshold else 0
        if severity != "off" and count > allowed:
            share = round(count / max(rows, 1), 6)
            found.append(Finding(name, severity, count, share, check.means, check.fix, findings.examples[name]))
    return sorted(found, key=lambda finding: finding.severity != "block")


class _Look:
    """What is judged over all rows: sources, licences, system prompts, languages, lengths of preferences."""

    def __init__(self, findings: Findings, config: DoctorConfig, *, license: str) -> None:
        self._findings, self._config, self._license = findings, config, license
        self._sources: Counter[str] = Counter()
        self._systems: Counter[str] = Counter()
        self._sample: list[tuple[str, str, str]] = []
        self._longer = self._pairs = self._seen = 0

    def add(self, where: str, row_id: str, row: Object, said: Parts) -> None:
        add = self._findings.add
        source = row.get("source")
        self._sources[file_of(source) if isinstance(source, str) else ""] += 1
        if not source:
            add("no-source", where, row_id, "")
        if not row.get("license") and not self._license:
            add("no-license", where, row_id, "")
        if row.get("synthetic"):
            add("synthetic", where, row_id, str(row["synthetic"])[:80])
        if system := _system(row.get("messages")):
            if system not in self._systems and len(self._systems) >= self._config.systems:
                add("system-prompts", where, row_id, system[:80])
            if len(self._systems) < 1000:
                self._systems[system] += 1
        if "chosen" in row and "rejected" in row:
            self._pairs += 1
            self._longer += len(str(row["chosen"])) > len(str(row["rejected"]))
        # Every row has the same chance to be looked at, and the same rows are each time.
        self._seen += 1
        if len(self._sample) < self._config.language_sample:
            self._sample.append((where, row_id, f"{said.prompt}\n{said.answer}"))
        elif (slot := hash_slot(where, self._seen)) < self._config.language_sample:
            self._sample[slot] = (where, row_id, f"{said.prompt}\n{said.answer}")

    def finish(self, rows: int) -> list[str]:
        """Judge; give notes on what could not be looked at."""
        add = self._findings.add
        if rows and len(self._sources) > 1:
            name, count = self._sources.most_common(1)[0]
            if count > self._config.dominant * rows:
                add("imbalance", name, "", f"{count} of {rows} rows")
        if self._pairs and self._longer > self._config.skew * self._pairs:
            add("length-skew", "", "", f"chosen is longer in {self._longer} of {self._pairs} pairs")
        try:
            tagged = [(where, row_id, language(text)) for where, row_id, text in self._sample]
        except SetupError as error:
            return [str(error)]
        codes = Counter(found.code for _, _, found in tagged if found)
        if not codes:
            return []
        usual = codes.most_common(1)[0][0]
        for where, row_id, found in tagged:
            if found and found.code != usual and found.probability > 0.9:
                add("language-mix", where, row_id, f"{found.code}, most rows are {usual}")
        return [f"language: a sample of {len(tagged)} rows, mostly {usual}"]


def hash_slot(where: str, seen: int) -> int:
    """A number from 0 to `seen`, drawn by the row's place (reservoir sampling)."""
    import zlib

    return zlib.crc32(where.encode()) % seen


def _render(
    template: Template,
    messages: list[Object],
    where: str,
    row_id: str,
    row: Object,
    previews: dict[str, Preview],
    findings: Findings,
) -> None:
    source = file_of(str(row.get("source", ""))) or "rows"
    wanted = source not in previews and len(previews) < PREVIEWS
    if not wanted and template.is_chatml:
        return
    try:
        if wanted:
            previews[source] = Preview(source, row_id, template.parts(messages))
        else:
            template.text(messages, ask=False)
    except TemplateError as error:
        findings.add("template-error", where, row_id, str(error))


def _added(template: Template, tokenizer: Path | None) -> int:
    """What the template adds to a message, in tokens or words."""
    probe = template.text([{"role": "user", "content": ""}, {"role": "assistant", "content": ""}], ask=False)
    return -(-load_counting(tokenizer).measure([probe])[0] // 2)


def _split(where: str, row: Object) -> str:
    name = file_of(where).removesuffix(".jsonl")
    return name if name in SPLITS else str(row.get("split", "all"))


def _system(messages: Any) -> str:
    first = messages[0] if isinstance(messages, list) and messages else None
    if isinstance(first, dict) and first.get("role") == "system" and isinstance(first.get("content"), str):
        return str(first["content"])
    return ""


def _manifest(source: Path) -> dict[str, Any]:
    file = source / MANIFEST_NAME
    content: Any = msgspec.json.decode(file.read_bytes()) if file.is_file() else {}
    return content if isinstance(content, dict) else {}


def _stats(source: Path) -> dict[str, Any]:
    file = source / "stats.json"
    content: Any = msgspec.json.decode(file.read_bytes()) if file.is_file() else {}
    return content if isinstance(content, dict) else {}


def _funnel(source: Path, rows: int) -> dict[str, Any]:
    """The funnel that `prepare` or `build` wrote, and whether it adds up to the rows that are there."""
    funnel: Any = _stats(source).get("funnel")
    if not isinstance(funnel, dict) or "input" not in funnel:
        return {}
    left = funnel["input"] - sum(funnel["drops"].values())
    return {**funnel, "adds_up": left == funnel["output"] == rows}
