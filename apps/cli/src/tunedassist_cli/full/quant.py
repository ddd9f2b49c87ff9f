"""`tunedassist quant-study`: what each quantization costs on the domain's own questions, paired with F16.

ta-serve measures size, speed and distance to F16; ta-eval scores each type's answers to the same items.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ta_schemas import Artifact, InputError
from ta_schemas.reports import Comparison, Interval
from tunedassist_cli.full.worth import points, read_report
from tunedassist_cli.pipeline import Lazily, Steps, evaluate_model, installed, some_items

if TYPE_CHECKING:
    from ta_eval.config import EvalConfig
    from ta_serve.quant_study.study import Row

REFERENCE = "F16"


class Kind(NamedTuple):
    """A quantization: what ta-serve measured, and how it answers the benchmark."""

    kind: str
    size_bytes: int
    tokens_per_s: float
    perplexity: float
    kl: float
    right: Interval
    against_reference: Comparison | None
    """None for F16 itself."""


class QuantStudy(NamedTuple):
    """All types, and which to take and why."""

    kinds: list[Kind]
    items: int
    recommended: str
    reason: str


def quant_study(
    domain: Path,
    gguf: Path,
    texts: Path,
    out: Path,
    *,
    types: Sequence[str] = (),
    limit: int | None = None,
    max_tokens: int = 1000,
    replace: bool = False,
) -> QuantStudy:
    """Measure `types` (F16 beside them) of the F16 file in the artifact `gguf`, ask each the benchmark, join.

    `texts`: conversations whose known answers are scored, such as the dataset's test split; `max_tokens` of
    them. Raises what the stages raise.
    """
    with installed("data"):
        from ta_data.domain import load_domain
    with installed("serve"):
        from ta_serve.config import read_settings
        from ta_serve.export.quantize import known_kind
        from ta_serve.quant_study.study import KINDS
    with installed("eval"):
        from ta_eval.compare import compare
        from ta_eval.config import CompareConfig, EvalConfig

    root, settings = load_domain(domain)
    if not settings.benchmark:
        raise InputError(f"{root / 'domain.yaml'}: benchmark: missing: name a file of held-out questions")
    artifact = Artifact.open(gguf, kind="gguf")
    source = _half_file(artifact)
    items = some_items(root / settings.benchmark, limit, out)
    travelling = read_settings(gguf)
    asked = EvalConfig(system_prompt=settings.system_prompt, max_tokens=travelling.generation.max_tokens)
    kinds = list(dict.fromkeys([REFERENCE, *(known_kind(kind) for kind in types or KINDS)]))

    steps = Steps(total=2 + len(kinds))
    with steps.timed("size, speed, distance to F16"):
        rows = _measured(source, texts, out, kinds, max_tokens)
    answers = [
        steps.take(
            f"{kind} on {items.stem}",
            out / "predictions" / kind,
            lambda place, kind=kind: _ask(kind, source, artifact, asked, items, root, place, replace=replace),  # type: ignore[misc]
        )
        for kind in kinds
    ]
    report = steps.take(
        "report",
        out / "report",
        lambda place: compare(
            CompareConfig(title=f"{settings.title or settings.name}: quantizations"),
            {items.stem: [one.path for one in answers]},
            place,
            replace=replace,
        ),
    )
    found = join(rows, report)
    _write(found, out)
    return found


def join(rows: "Sequence[Row]", report: Artifact) -> QuantStudy:
    """Both measurements of each type, and the fastest of those that neither finds wanting."""
    from ta_serve.quant_study.study import recommend

    items = read_report(report).item_sets[0]
    right = {system.name: system.accuracy for system in items.systems}
    against = {comparison.candidate: comparison for comparison in items.comparisons}
    kinds = [
        Kind(
            row.kind,
            row.size_bytes,
            row.measured.speed.tokens_per_s,
            row.measured.quality.perplexity,
            row.measured.quality.kl,
            right[row.kind],
            against.get(row.kind),
        )
        for row in rows
    ]
    worse = [
        kind.kind for kind in kinds if kind.against_reference and kind.against_reference.verdict == "worse"
    ]
    recommended, reason = recommend([row for row in rows if row.kind not in worse])
    comparison = against.get(recommended)
    paired = f"; on the benchmark {points(comparison)} against {REFERENCE}" if comparison else ""
    lost = f"; left out for its answers to the benchmark: {', '.join(worse)}" if worse else ""
    return QuantStudy(kinds, items.systems[0].items, recommended, reason + paired + lost)


def table(found: QuantStudy) -> list[str]:
    """Markdown."""
    lines = [
        f"| type | MiB | tokens/s | perplexity | KL | right | against {REFERENCE} (95 % interval) | verdict |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for kind in found.kinds:
        other = kind.against_reference
        lines.append(
            f"| {kind.kind} | {kind.size_bytes / 2**20:.0f} | {kind.tokens_per_s:.0f} | {kind.perplexity:.3f} "
            f"| {kind.kl:.4f} | {kind.right.estimate:.1%} | {points(other) if other else ''} "
            f"| {other.verdict if other else ''} |"
        )
    return lines


def as_dict(found: QuantStudy) -> dict[str, Any]:
    """For scripts."""
    return {
        "recommended": found.recommended,
        "reason": found.reason,
        "items": found.items,
        "kinds": [
            {
                **kind._asdict(),
                "right": kind.right.model_dump(),
                "against_reference": kind.against_reference and kind.against_reference.model_dump(),
            }
            for kind in found.kinds
        ],
    }


def _measured(source: Path, texts: Path, out: Path, kinds: list[str], max_tokens: int) -> "list[Row]":
    """ta-serve's study, or what it found the last time for the same inputs."""
    from ta_serve.engines.llama_cpp.threads import usable_cores
    from ta_serve.export.histogram import Tensors
    from ta_serve.export.progress import steps
    from ta_serve.quant_study.measure import Measured, Quality, Speed
    from ta_serve.quant_study.study import Row, study

    if not texts.is_file():
        raise InputError(f"{texts}: no such file: expected JSONL with conversations and their answers")
    inputs = {"file": _sha256(source), "texts": _sha256(texts), "types": kinds, "max_tokens": max_tokens}
    folder = out / "measured"
    kept = folder / "inputs.json"
    if not kept.exists() or json.loads(kept.read_text(encoding="utf-8")) != inputs:
        with steps("quant-study") as say:
            study(source, texts, folder, kinds=kinds, max_tokens=max_tokens, threads=usable_cores(), say=say)
        _write_file(kept, json.dumps(inputs, indent=2) + "\n")
    found = json.loads((folder / "quant-study.json").read_text(encoding="utf-8"))["rows"]
    return [
        Row(
            row["type"],
            row["size_bytes"],
            Tensors(**row["tensors"]),
            Measured(
                Quality(*(row[key] for key in Quality._fields)),
                Speed(*(row[key] for key in Speed._fields)),
                row["memory_mib"],
            ),
        )
        for row in found
    ]


def _ask(
    kind: str,
    source: Path,
    artifact: Artifact,
    asked: "EvalConfig",
    items: Path,
    domain: Path,
    place: Path,
    *,
    replace: bool,
) -> Artifact:
    """The answers of a type, whose file lives only as long as it is asked."""
    from ta_serve.config import read_settings
    from ta_serve.engines.llama_cpp.engine import LlamaCppEngine
    from ta_serve.export.quantize import quantize

    file = source if kind == REFERENCE else place.with_name(f"{kind}.gguf")

    def load() -> LlamaCppEngine:
        if kind != REFERENCE and not file.exists():
            quantize(source, file, kind)
        return LlamaCppEngine(file, settings=read_settings(artifact.path))

    model = {"model": kind, "digest": artifact.digest, "type": kind}
    try:
        with Lazily(load) as answer:
            return evaluate_model(
                asked, items, kind, model, answer, place, artifact.as_parent, domain=domain, replace=replace
            )
    finally:
        if kind != REFERENCE:
            file.unlink(missing_ok=True)


def _write(found: QuantStudy, out: Path) -> None:
    from ta_serve.quant_study.plot import scatter

    dots = [(kind.size_bytes / 2**20, kind.right.estimate, kind.kind) for kind in found.kinds]
    text = [
        "# Quantization study",
        "",
        f"Take **{found.recommended}**: {found.reason}.",
        "",
        *table(found),
        "",
        f"All types answered the same {found.items} items; what else was measured stands in `measured/`.",
        "",
        "![size and right answers](quant-study.svg)",
    ]
    _write_file(out / "quant-study.json", json.dumps(as_dict(found), indent=2) + "\n")
    _write_file(out / "quant-study.md", "\n".join(text) + "\n")
    title = "Size and right answers"
    _write_file(out / "quant-study.svg", scatter(dots, x="MiB", y="share of the benchmark", title=title))


def _write_file(file: Path, text: str) -> None:
    partial = file.with_name(f"{file.name}.partial-{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _half_file(artifact: Artifact) -> Path:
    """The file that all types are made from."""
    files = artifact.manifest.metrics.get("files", {})
    half = next((name for name, facts in files.items() if facts["type"] == REFERENCE), None)
    if half is None:
        raise InputError(
            f"{artifact.path}: no {REFERENCE} file, which all types are made from: export it with --type F16"
        )
    return artifact.file(half)
