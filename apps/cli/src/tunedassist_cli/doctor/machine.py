"""Processor, memory, disk and GPU, without loading torch."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tunedassist_cli.doctor.finding import Finding

GB = 1_000_000_000
MEMORY_GB = 5.0
"""The main job held 4.4 GB at most (README, 2026-11-23)."""
DISK_GB = 3.0
"""A whole run with its GGUF files is about 1.5 GB, the converted base model 0.3."""
FLAGS = {
    "avx2": "float32 at the speed of the README's numbers",
    "avx512f": "faster matrices",
    "avx512_bf16": "bfloat16 training in hardware",
    "amx_bf16": "bfloat16 tiles: the fastest CPUs",
}


def machine(folder: Path, root: Path = Path("/")) -> Iterator[Finding]:
    """What the hardware offers; `folder` is where runs go, `root` where /proc and /sys are read."""
    yield _python()
    yield _processor(root)
    yield _memory(root)
    yield _disk(folder, "runs")
    yield _disk(cache_folder(), "cache of converted models")
    yield _gpu()


def cache_folder() -> Path:
    """Where converted models are kept, as ta-train and ta-serve do."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tunedassist"
    return Path(os.environ.get("TUNEDASSIST_CACHE", default))


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    fix = "" if good else "uv python install 3.12"
    return Finding("machine", "python", "ok" if good else "bad", found, "3.11 to 3.13", fix)


def _processor(root: Path) -> Finding:
    file = root / "proc" / "cpuinfo"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    flags = next((line.split(":", 1)[1].split() for line in text.splitlines() if line.startswith("flags")), [])
    has = [flag for flag in FLAGS if flag in flags]
    cores = os.cpu_count() or 1
    told = ", ".join(f"{flag} ({FLAGS[flag]})" for flag in has) or "vector units unknown"
    return Finding("machine", "processor", "ok", f"{cores} logical cores; {told}")


def _memory(root: Path) -> Finding:
    free = _free_memory(root)
    purpose = f"the main job wants {MEMORY_GB:g} GB"
    if free is None:
        return Finding("machine", "memory", "ok", "not known on this system", purpose)
    good = free >= MEMORY_GB * GB
    fix = "" if good else "close what else runs, or train with --set batch_size=2"
    return Finding("machine", "memory", "ok" if good else "bad", f"{free / GB:.1f} GB available", purpose, fix)


def _free_memory(root: Path) -> int | None:
    """Bytes: what is available below the container's limit; elsewhere than on Linux what is built in."""
    file = root / "proc" / "meminfo"
    if not file.is_file():
        names = getattr(os, "sysconf_names", {})
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if "SC_PHYS_PAGES" in names else None
    lines = dict(line.split(":", 1) for line in file.read_text(encoding="utf-8").splitlines() if ":" in line)
    free = int(lines["MemAvailable"].split()[0]) * 1024
    limit = root / "sys" / "fs" / "cgroup" / "memory.max"
    most = limit.read_text(encoding="utf-8").strip() if limit.is_file() else ""
    return min(free, int(most)) if most.isdigit() else free


def _disk(folder: Path, name: str) -> Finding:
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if not os.access(there, os.W_OK):
        fix = (
            "name another place with --out" if name == "runs" else "set TUNEDASSIST_CACHE to a folder of yours"
        )
        return Finding("machine", f"disk: {name}", "bad", f"{there} may not be written to", fix=fix)
    good = free >= DISK_GB * GB
    fix = "" if good else f"free some space at {there}"
    found = f"{free / GB:.0f} GB free at {there}"
    return Finding("machine", f"disk: {name}", "ok" if good else "bad", found, f"{DISK_GB:g} GB for a run", fix)


def _gpu() -> Finding:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("machine", "gpu", "absent", "no NVIDIA driver; everything runs on the processor")
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run([program, *query], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("machine", "gpu", "absent", f"nvidia-smi does not answer: {error}")
    found = "; ".join(done.stdout.split("\n")).strip("; ")
    if done.returncode or not found:
        fix = "mend the NVIDIA driver (nvidia-smi says why)"
        return Finding("machine", "gpu", "absent", (done.stdout or done.stderr).strip()[:200], fix=fix)
    return Finding("machine", "gpu", "ok", found, "`just bench-gpu` measures it")
