"""Quantizing a GGUF file in this process, by llama.cpp's own function (`ta-serve quantize`)."""

import ctypes
import os
import threading
from pathlib import Path
from typing import Any

from ta_schemas import InputError
from ta_serve.export.gguf_header import read_header
from ta_serve.export.histogram import Tensors, tensors_of
from ta_serve.export.needs import need


def kinds() -> dict[str, int]:
    """Quantization types of the installed llama.cpp, by name: `Q8_0`, `Q4_K_M`, …, and their numbers."""
    llama = need("llama_cpp.llama_cpp", "llama-cpp")
    found = {"F32": int(llama.LLAMA_FTYPE_ALL_F32)}
    for name in dir(llama):
        if name.startswith("LLAMA_FTYPE_MOSTLY_"):
            found[name.removeprefix("LLAMA_FTYPE_MOSTLY_")] = int(getattr(llama, name))
    return found


def known_kind(kind: str) -> str:
    """The type as llama.cpp writes it, whatever the case. Raises InputError with the known names."""
    known = {name.lower(): name for name in kinds()}
    if kind.lower() not in known:
        raise InputError(f"type {kind!r}: llama.cpp has {', '.join(sorted(known.values()))}")
    return known[kind.lower()]


def quantize(source: Path, out: Path, kind: str) -> Tensors:
    """Quantize a GGUF file to `kind` and say what its tensors became; `out` appears whole or not at all.

    A quantized source is dequantized first: what it lost stays lost. Takes all cores. Raises InputError for
    an unknown type, an unreadable source, or a type that llama.cpp refuses for it (some need an importance
    matrix).
    """
    kind = known_kind(kind)
    read_header(source)
    llama = need("llama_cpp.llama_cpp", "llama-cpp")
    params = llama.llama_model_quantize_default_params()
    params.ftype = kinds()[kind]
    params.allow_requantize = True
    params.nthread = os.cpu_count() or 1
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    results: list[int] = []

    def work() -> None:
        with _Log(llama, said):
            results.append(
                llama.llama_model_quantize(str(source).encode(), str(partial).encode(), ctypes.byref(params))
            )

    # In a thread of its own, so that Ctrl-C is heard at once and not after the last tensor.
    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()
        thread.join()
        if results != [0]:
            raise InputError(f"{source}: llama.cpp cannot quantize it to {kind}: {_reason(said)}")
        tensors = tensors_of(partial, kind)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return tensors


class _Log:
    """Collects llama.cpp's log instead of printing a line a tensor."""

    def __init__(self, llama: Any, said: list[str]) -> None:
        self.llama = llama
        self.callback = llama.llama_log_callback(
            lambda level, text, _: said.append(text.decode(errors="replace"))
        )

    def __enter__(self) -> None:
        self.llama.llama_log_set(self.callback, ctypes.c_void_p(0))

    def __exit__(self, *_: object) -> None:
        from llama_cpp._logger import llama_log_callback

        self.llama.llama_log_set(llama_log_callback, ctypes.c_void_p(0))


def _reason(said: list[str]) -> str:
    lines = [line.strip() for line in "".join(said).splitlines() if line.strip()]
    telling = [line for line in lines if "fail" in line or "error" in line or "imatrix" in line]
    return (telling or lines or ["no reason given"])[-1]
