"""The study: quantize, measure each in a process of its own, recommend, write."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ta_schemas import InputError
from ta_serve.export.histogram import Tensors, tensors_of
from ta_serve.export.quantize import known_kind, quantize
from ta_serve.parity.child import in_child
from ta_serve.quant_study.measure import Measured, measure
from ta_serve.quant_study.plot import scatter
from ta_serve.quant_study.texts import read_texts

KINDS = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0")

MOST_KL = 0.02
"""Nats a token. Up to here the answers of an export stayed the same in all but a few conversations."""

LEAST_TOP1 = 0.95


class Row(NamedTuple):
    """A type and what was measured."""

    kind: str
    size_bytes: int
    tensors: Tensors
    measured: Measured
    file: str = ""
    """Its path, where it was kept."""

    def as_json(self) -> dict[str, Any]:
        """For files."""
        quality, speed, memory = self.measured
        return {
            "type": self.kind,
            "size_bytes": self.size_bytes,
            "file": self.file or None,
            **quality._asdict(),
            **speed._asdict(),
            "memory_mib": memory,
            "tensors": self.tensors._asdict(),
        }


class Study(NamedTuple):
    """All rows, and which to take and why."""

    rows: list[Row]
    recommended: str
    reason: str


def study(
    source: Path,
    texts: Path,
    out: Path,
    *,
    kinds: Sequence[str] = KINDS,
    max_tokens: int = 1000,
    threads: int = 1,
    keep: bool = False,
    say: Callable[[str], None] = lambda step: None,
) -> Study:
    """Measure quantizations of an F16 file on the answers of `texts` and write JSON, Markdown and SVG to `out`.

    `max_tokens`: answer tokens that are scored; the reference's log-probabilities take 4 bytes times the
    vocabulary each, on disk. `keep`: the files stay in `out`, named by their type, for a benchmark of their
    answers. Raises InputError.
    """
    if not source.is_file():
        raise InputError(f"{source}: no such file: expected a GGUF file in F16")
    known = list(dict.fromkeys(["F16", *(known_kind(kind) for kind in kinds)]))
    say("texts")
    chosen = in_child(_read, texts, source, max_tokens, where=str(source))
    rows = []
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".partial-") as scratch:
        for kind in known:
            say(kind)
            file = source if kind == "F16" else Path(scratch) / f"{kind}.gguf"
            tensors = tensors_of(file) if kind == "F16" else quantize(source, file, kind)
            measured = in_child(_measure, str(file), chosen, scratch, kind == "F16", threads, where=str(file))
            size = file.stat().st_size
            rows.append(Row(kind, size, tensors, measured, _kept(source, file, out) if keep else ""))
            if file != source:
                file.unlink(missing_ok=True)
    found = Study(rows, *recommend(rows))
    _write(found, out)
    return found


def _kept(source: Path, file: Path, out: Path) -> str:
    """Where the file stays: `model-F16.gguf` has `model-Q6_K.gguf` beside the study."""
    if file == source:
        return str(source)
    name = source.stem.removesuffix("-F16").removesuffix(".F16")
    return str(file.replace(out / f"{name}-{file.name}"))


def recommend(rows: Sequence[Row]) -> tuple[str, str]:
    """The fastest type that is as good as F16, and the reason in words."""
    good = [
        row for row in rows if row.measured.quality.kl <= MOST_KL and row.measured.quality.top1 >= LEAST_TOP1
    ]
    best = max(good, key=lambda row: row.measured.speed.tokens_per_s)
    quality, speed, _ = best.measured
    reason = (
        f"the fastest ({speed.tokens_per_s:.0f} tokens/s) of those that stay within {MOST_KL} nats of F16 and "
        f"agree on {LEAST_TOP1:.0%} of the likeliest tokens: it has {quality.kl:.4f} and {quality.top1:.1%}"
    )
    faster = [row for row in rows if row.measured.speed.tokens_per_s > speed.tokens_per_s]
    lost = [f"{row.kind} is faster but loses {row.measured.quality.kl:.3f} nats" for row in faster]
    return best.kind, "; ".join([reason, *lost])


def table(found: Study) -> list[str]:
    """Markdown."""
    lines = [
        "| type | MiB | bits a weight | tokens/s | first token | memory | perplexity | KL to F16 | same top |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found.rows:
        quality, speed, memory = row.measured
        lines.append(
            f"| {row.kind} | {row.size_bytes / 2**20:.0f} | {row.tensors.bits_per_weight:.2f} "
            f"| {speed.tokens_per_s:.0f} | {speed.first_token_s * 1000:.0f} ms | {memory:.0f} MiB "
            f"| {quality.perplexity:.3f} | {quality.kl:.4f} | {quality.top1:.1%} |"
        )
    return lines


def _write(found: Study, out: Path) -> None:
    content = {
        "recommended": found.recommended,
        "reason": found.reason,
        "rows": [row.as_json() for row in found.rows],
    }
    first = found.rows[0].measured
    fallen = [f"{row.kind}: {row.tensors.lines()[-1]}" for row in found.rows if row.tensors.fell_back]
    text = [
        "# Quantization study",
        "",
        f"Take **{found.recommended}**: {found.reason}.",
        "",
        *table(found),
        "",
        f"Over {first.quality.tokens} answer tokens; first token of a prompt of {first.speed.prompt_tokens} "
        "tokens; speeds are medians of 3 runs of one conversation.",
        "",
        *(f"- {line}" for line in fallen),
        "",
        "![size and KL](quant-study.svg)",
    ]
    points = [(row.size_bytes / 2**20, row.measured.quality.kl, row.kind) for row in found.rows]
    for name, written in (
        ("quant-study.json", json.dumps(content, indent=2) + "\n"),
        ("quant-study.md", "\n".join(text) + "\n"),
        ("quant-study.svg", scatter(points, x="MiB", y="KL to F16, nats a token", title="Size and distance")),
    ):
        partial = out / f"{name}.partial"
        partial.write_text(written, encoding="utf-8")
        partial.replace(out / name)


def _read(texts: Path, source: Path, max_tokens: int) -> list[Any]:
    return list(read_texts(texts, source, max_tokens=max_tokens))


def _measure(file: str, texts: list[Any], folder: str, is_reference: bool, threads: int) -> Measured:
    return measure(file, texts, folder, is_reference=is_reference, threads=threads)
