"""How much memory a run may take on this machine."""

import os
from pathlib import Path
from typing import NamedTuple

UNLIMITED = 2**60
"""A limit above this is none: version 1 says so with a number near 2**63."""


class Available(NamedTuple):
    """Memory that a run can still have, in bytes."""

    size_bytes: int
    where: str
    """What sets the limit, in words."""


def available(*, gpu: bool) -> Available:
    """What is free on the GPU, or for this process: in the machine, or below its control group's limit.

    What this process holds already counts as available: the estimate counts it too. Processes that torchrun
    started on one machine share it.
    """
    if gpu:
        import torch

        free, _ = torch.cuda.mem_get_info()
        return Available(int(free), "on the GPU")
    import psutil  # type: ignore[import-untyped]

    free = Available(psutil.virtual_memory().available, "in this machine")
    left = cgroup_left()
    if left is not None:
        free = min(free, Available(left, "below this container's limit"))
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return free._replace(size_bytes=free.size_bytes // processes + held())


def held() -> int:
    """Resident memory of this process, in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def cgroup_left(root: Path = Path("/")) -> int | None:
    """Bytes left below the lowest memory limit of this process's control groups; None: no limit.

    Linux, version 1 or 2. Page cache that the kernel would drop does not count as used.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    left: list[int] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            mount, limit, usage = (
                root / "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        elif not controllers:
            mount, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
        else:
            continue
        group = mount / path.lstrip("/")
        # In a container the path may be the host's, while the mount shows the container's group at its root.
        for folder in {group, *(p for p in group.parents if p.is_relative_to(mount)), mount}:
            found = _left(folder, limit, usage)
            if found is not None:
                left.append(found)
    return min(left, default=None)


def _left(folder: Path, limit: str, usage: str) -> int | None:
    try:
        most = int((folder / limit).read_text(encoding="utf-8"))  # "max" is no number: no limit
        used = int((folder / usage).read_text(encoding="utf-8"))
        statistics = (folder / "memory.stat").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None
    cache = dict(zip(statistics[::2], statistics[1::2], strict=True)).get("inactive_file", "0")
    return most - used + int(cache) if most < UNLIMITED else None
