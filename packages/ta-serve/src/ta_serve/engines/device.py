"""Where to compute, and in which precision."""

from pathlib import Path
from typing import Any

from ta_schemas import InputError, SetupError

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16")

# Without these a CPU multiplies bfloat16 in software: 15 instead of 78 GFLOP/s (AVX2, 2 cores, measured).
_NATIVE_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}


def pick_device(device: str) -> str:
    """`auto`: the GPU if there is one. Raises SetupError for a device that this machine lacks."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if device not in there:
        raise InputError(f"device {device!r}: expected one of {', '.join(DEVICES)}")
    if not there[device]:
        raise SetupError(f"device {device}: torch sees none on this machine: use --device cpu")
    return device


def pick_dtype(dtype: str, device: str, *, cpuinfo: Path = Path("/proc/cpuinfo")) -> Any:
    """`auto`: bfloat16, but float32 on a CPU that does not multiply bfloat16 natively."""
    import torch

    if dtype not in DTYPES:
        raise InputError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
    if dtype == "auto":
        dtype = "float32" if device == "cpu" and not native_bf16(cpuinfo) else "bfloat16"
    return getattr(torch, dtype)


def native_bf16(cpuinfo: Path) -> bool:
    """Whether the first processor lists a bfloat16 instruction set (x86 `flags`, ARM `Features`)."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return not _NATIVE_BF16.isdisjoint(flags.split())
