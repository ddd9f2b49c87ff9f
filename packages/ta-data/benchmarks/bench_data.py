"""Near-duplicates, JSONL and the doctor beside their peers, in one run.

    python packages/ta-data/benchmarks/bench_data.py --rows 100000     # about ten minutes on two cores
    python packages/ta-data/benchmarks/bench_data.py --rows 5000

Rows are generated (`corpus.py`). Every variant runs in a process of its own; CPU seconds are user and system
time of that process from its start to its end, peak MB its largest resident size. Truth is an exact Jaccard
join (`exact.py`) for a sample of rows: `recall` is the share of the rows with an earlier similar row among the
kept ones that were taken out, `precision` the share of the rows taken out that have one. The peers are
installed into a virtual environment of their own (`--peers`).
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from corpus import write_corpus
from exact import near_pairs
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
PEERS = ("datasketch>=2", "datatrove[processing]>=0.10", "spacy>=3.8")  # datatrove splits words with spaCy


class Cost(NamedTuple):
    """What a process used."""

    cpu_s: float
    peak_mb: float


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=10_000, help="rows whose truth is computed")
    parser.add_argument("--peers", type=Path, default=Path(".venvs/bench-data"))
    parser.add_argument("--only", default="near,jsonl,doctor,build")
    parser.add_argument("--variants", default="ta-data,datasketch,datatrove", help="of the first table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_corpus(work / "corpus.jsonl", options.rows)
        if "near" in options.only:
            near(work, options.rows, options.sample, _peers(options.peers), options.variants.split(","))
        if "jsonl" in options.only:
            jsonl(work)
        if "doctor" in options.only:
            doctor(work)
        if "build" in options.only:
            build(work, options.rows)


def near(work: Path, rows: int, sample: int, python: Path, wanted: list[str]) -> None:
    """Near-duplicates: ours, datasketch, datatrove."""
    source = work / "corpus.jsonl"
    table = _table("Near-duplicates", "documents/CPU s", "CPU s", "peak MB", "recall", "precision")
    variants = {
        "ta-data": [sys.executable, HERE / "ours.py", "near"],
        "datasketch": [python, HERE / "peer_datasketch.py"],
        "datatrove": [python, HERE / "peer_datatrove.py"],
    }
    # Before the truth is computed: a process starts with the resident size of the one that starts it.
    costs = {name: measured([*variants[name], source, work / f"{name}.json"]) for name in wanted}
    texts = [f"{r['prompt']}\n{r['completion']}" for r in _rows(source)]
    only = set(random.Random(1).sample(range(rows), min(sample, rows)))
    truth = near_pairs(texts, 0.8, only)
    del texts
    for name, cost in costs.items():
        gone = set(json.loads((work / f"{name}.json").read_text()))
        should = {i for i in only if any(j not in gone for j in truth.get(i, ()))}
        taken = gone & only
        recall, precision = len(should & taken) / max(1, len(should)), len(should & taken) / max(1, len(taken))
        table.add_row(
            name,
            f"{rows / cost.cpu_s:,.0f}",
            f"{cost.cpu_s:.1f}",
            f"{cost.peak_mb:.0f}",
            f"{recall:.4f}",
            f"{precision:.4f}",
        )
    Console().print(table)


def jsonl(work: Path) -> None:
    """JSONL read, validated, written: ours and pydantic."""
    table = _table("JSONL", "records/CPU s", "CPU s", "peak MB")
    count = 0
    with (work / "chat.jsonl").open("wb") as stream:
        for number, row in enumerate(_chats(work)):
            stream.write(b"{broken\n" if number % 500 == 499 else json.dumps(row).encode() + b"\n")
            count += 1
    for name in ("jsonl", "pydantic"):
        cost = measured([sys.executable, HERE / "ours.py", name, work / "chat.jsonl", work / f"{name}.json"])
        table.add_row(
            name.replace("jsonl", "ta-schemas"),
            f"{count / cost.cpu_s:,.0f}",
            f"{cost.cpu_s:.1f}",
            f"{cost.peak_mb:.0f}",
        )
    Console().print(table)


def doctor(work: Path) -> None:
    """The doctor and the PII scan on short records."""
    folder = work / "dataset"
    folder.mkdir()
    files = {name: (folder / f"{name}.jsonl").open("w") for name in ("train", "validation", "test")}
    count = 0
    for count, row in enumerate(_chats(work, words=40), start=1):
        split = "train" if count % 10 > 1 else "validation" if count % 10 else "test"
        files[split].write(json.dumps(row) + "\n")
    for file in files.values():
        file.close()
    table = _table(f"{count} short records", "records/CPU s", "CPU s", "peak MB")
    for name in ("doctor", "pii"):
        cost = measured([sys.executable, HERE / "ours.py", name, folder, work / f"{name}.json"])
        table.add_row(name, f"{count / cost.cpu_s:,.0f}", f"{cost.cpu_s:.1f}", f"{cost.peak_mb:.0f}")
    Console().print(table)


def build(work: Path, rows: int) -> None:
    """All rows from the folder to the sealed dataset with its report; memory of the larger of two processes."""
    table = _table(f"ta-data build, {rows} rows", "rows/CPU s", "CPU s", "wall s", "peak MB", "kept")
    folder = work / "in"
    folder.mkdir()
    (work / "corpus.jsonl").rename(folder / "corpus.jsonl")
    begun = time.monotonic()
    cost = measured([sys.executable, "-m", "ta_data", "build", folder, "--out", work / "built"])
    wall = time.monotonic() - begun
    kept = json.loads((work / "built" / "stats.json").read_text())["funnel"]["output"]
    numbers = (
        f"{rows / cost.cpu_s:,.0f}",
        f"{cost.cpu_s:.0f}",
        f"{wall:.0f}",
        f"{cost.peak_mb:.0f}",
        f"{kept}",
    )
    table.add_row("ta-data", *numbers)
    Console().print(table)


def measured(command: list[object]) -> Cost:
    """Run a process on one thread; its CPU seconds and peak memory."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    process = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **threads},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{said.decode()[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, _mb(usage))


def _mb(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _peers(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "--quiet", str(folder)], check=True)
        subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(python), *PEERS], check=True)
    return python


def _rows(source: Path) -> Iterator[dict[str, str]]:
    with source.open(encoding="utf-8") as stream:
        yield from (json.loads(line) for line in stream)


def _chats(work: Path, words: int = 0) -> Iterator[dict[str, object]]:
    for row in _rows(work / "corpus.jsonl"):
        answer = " ".join(row["completion"].split()[:words]) if words else row["completion"]
        messages = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": answer}]
        yield {"id": row["id"], "messages": messages, "source": "made:1", "license": "CC0-1.0"}


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    return table


if __name__ == "__main__":
    main()
