"""`ta-data shards`: the row-by-row steps over many files at once, in local processes or on a Ray cluster.

One function does a shard, whoever calls it, so that the output is the same byte for byte. Rows do not travel
through the executor: a worker reads its shard and writes its result, on a disk that all of them see.
"""

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from ta_data.clean.filters import FilterConfig, filter_rows
from ta_data.clean.pii import TYPES
from ta_data.clean.scrub import scrub
from ta_schemas.errors import InputError, SetupError

Step = Literal["filter", "pii"]
Executor = Literal["local", "ray"]


def do_shard(source: str, out: str, step: Step) -> dict[str, Any]:
    """One shard: rows to `out`, the summary back. PII placeholders are numbered within the shard."""
    if step == "filter":
        summary = filter_rows(FilterConfig(), Path(source), Path(out))
    else:
        summary = scrub(Path(source), Path(out), types=frozenset(TYPES))
    return {"input": summary["input"], "output": summary["output"], "dropped": summary["dropped"]}


def run_shards(
    folder: Path, out: Path, step: Step, *, executor: Executor = "local", workers: int = 2
) -> dict[str, Any]:
    """Every `.jsonl` of a folder through one step, to files of the same names in `out`; the summed summary."""
    shards = sorted(folder.glob("*.jsonl"))
    if not shards:
        raise InputError(f"{folder}: no .jsonl file in it: a shard is a JSON lines file")
    out.mkdir(parents=True, exist_ok=True)
    jobs = [(str(shard.resolve()), str((out / shard.name).resolve()), step) for shard in shards]
    parts = (_on_ray if executor == "ray" else _locally)(do_shard, jobs, workers)
    dropped: Counter[str] = Counter()
    for part in parts:
        dropped.update(part["dropped"])
    return {
        "shards": len(shards),
        "input": sum(part["input"] for part in parts),
        "output": sum(part["output"] for part in parts),
        "dropped": dict(sorted(dropped.items())),
    }


def _locally(
    do: Callable[..., dict[str, Any]], jobs: list[tuple[Any, ...]], workers: int
) -> list[dict[str, Any]]:
    # Not forked: libraries with threads of their own do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        return list(pool.map(do, *zip(*jobs, strict=True)))


def _on_ray(
    do: Callable[..., dict[str, Any]], jobs: list[tuple[Any, ...]], workers: int
) -> list[dict[str, Any]]:
    try:
        import ray  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ModuleNotFoundError:
        raise SetupError("ray is not installed: install ta-data[ray]") from None
    # RAY_ADDRESS joins a running cluster; without it a local one is started and ended here.
    if "RAY_ADDRESS" in os.environ:
        ray.init(log_to_driver=False)
    else:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    try:
        remote = ray.remote(do)
        results: list[dict[str, Any]] = ray.get([remote.remote(*job) for job in jobs])
        return results
    finally:
        ray.shutdown()
