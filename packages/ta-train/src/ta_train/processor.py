"""What the processor of this machine can do, without importing torch."""

import os
import platform
from functools import cache
from pathlib import Path


def cpu_threads(wanted: int = 0) -> int:
    """Threads for the matrix products: the wanted number, or (0) the cores this process may use.

    Processes that torchrun started on one machine share its cores.
    """
    if wanted:
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


@cache
def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively; emulated (AVX2) a product took 40 times as long."""
    return any(flag in _cpuinfo() for flag in ("avx512_bf16", "amx_bf16", " bf16 "))


@cache
def processor_name() -> str:
    """The name the processor gives itself, such as `AMD EPYC 9B14`."""
    for line in _cpuinfo().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
