"""How long an answer takes, asked alone: measured once for each system and kept in a file."""

import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ta_eval.benchmark import read_benchmark
from ta_eval.config import EvalConfig
from ta_eval.evaluate import conversation
from tunedassist_cli.full.systems import System
from tunedassist_cli.pipeline import Lazily

PROBED = 5
"""Questions asked one after the other, evenly over the benchmark; the first is asked once more before them."""


def measure_times(
    systems: Sequence[System], benchmark: Path, asked: EvalConfig, file: Path, *, domain: Path
) -> dict[str, float]:
    """Median seconds from a question to its whole answer, by system; a system measured already is left out."""
    rows = read_benchmark(benchmark, domain=domain).rows
    count = min(PROBED, len(rows))
    chosen = [conversation(rows[at * len(rows) // count], asked.system_prompt) for at in range(count)]
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for system in systems:
        if kept.get(system.name, {}).get("model") != system.model:
            seconds = _median_seconds(system, chosen, asked.max_tokens)
            kept[system.name] = {"model": system.model, "seconds": round(seconds, 3)}
            partial = file.with_name(f"{file.name}.partial-{os.getpid()}")
            partial.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
            partial.replace(file)
    return {system.name: kept[system.name]["seconds"] for system in systems}


def _median_seconds(system: System, conversations: Sequence[list[dict[str, str]]], max_tokens: int) -> float:
    taken = []
    with Lazily(system.load) as engine:
        answer = system.answering(engine)
        answer(conversations[:1], max_tokens=max_tokens, temperature=0.0)
        for messages in conversations:
            started = time.monotonic()
            answer([messages], max_tokens=max_tokens, temperature=0.0)
            taken.append(time.monotonic() - started)
    return statistics.median(taken)
