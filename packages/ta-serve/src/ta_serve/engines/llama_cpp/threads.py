"""How many threads compute: the real cores that this process may use."""

import os
from pathlib import Path


def usable_cores() -> int:
    """Physical cores within the process's affinity and its control group's quota; at least 1.

    Two hyper-threads of a core share its multipliers: a second thread a core gains nothing. Where the machine
    doesn't tell its topology a processor counts as a core.
    """
    if not hasattr(os, "sched_getaffinity"):  # macOS
        return os.cpu_count() or 1
    processors = os.sched_getaffinity(0)
    cores = {_core(number) for number in processors}
    return max(1, min(len(cores), _quota(len(cores))))


def _core(processor: int) -> tuple[str, ...]:
    topology = Path(f"/sys/devices/system/cpu/cpu{processor}/topology")
    try:
        return tuple((topology / name).read_text().strip() for name in ("physical_package_id", "core_id"))
    except OSError:
        return (str(processor),)


def _quota(most: int, file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Whole processors that a container may use (https://docs.kernel.org/admin-guide/cgroup-v2.html)."""
    try:
        quota, period = file.read_text().split()
        return most if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return most
