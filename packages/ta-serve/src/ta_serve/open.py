"""From a path, a name or a URL to an engine that answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ta_schemas import Artifact, ArtifactError, InputError, SetupError
from ta_schemas.manifest import MANIFEST_NAME
from ta_serve.config import Settings, read_settings
from ta_serve.embedded import EMBEDDED, served_gguf
from ta_serve.resolve import resolve

EngineName = Literal["auto", "llama-cpp", "transformers", "openai-http", "ollama", "xllamacpp"]
"""auto: llama-cpp for GGUF, transformers for folders with safetensors, openai-http for a URL."""

PREFERRED = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "F16")
"""Of the files in a `gguf` artifact the first of these is served."""


class Gguf(NamedTuple):
    """A file to serve, and the settings that travel with it."""

    file: Path
    settings: Settings


def open_engine(
    path: Path | str,
    *,
    engine: EngineName = "auto",
    model: str | None = None,
    api_key: str | None = None,
    adapters: Mapping[str, Path] | None = None,
    context_tokens: int = 0,
    parallel: int = 16,
    threads: int = 0,
    device: str = "auto",
    dtype: str = "auto",
) -> Any:
    """Open what `path` names; gives a `ChatEngine`, a `TransformersEngine` for a folder with safetensors.

    `path`: a GGUF file, a `gguf` artifact, the embedded model's name, an adapter artifact, a model artifact or
    folder, or a URL. `model` and `api_key` belong to URLs; `adapters` (GGUF files by name) to llama-cpp;
    `context_tokens`, `parallel` and `threads` (0: the real cores) to llama-cpp and xllamacpp; `device` and
    `dtype` to transformers.

    Raises what `resolve` raises, InputError for a file that is none of these, and SetupError where an extra is
    missing or no server answers.
    """
    kind = engine_of(path) if engine == "auto" else engine
    if kind in ("openai-http", "ollama"):
        if not str(path).startswith(("http://", "https://")):
            raise InputError(f"{path}: the engine {kind} wants a URL, such as http://127.0.0.1:8000/v1")
        return _open_server(str(path), kind, model, api_key)
    if model is not None:
        raise InputError(f"model {model}: only with a URL: {path} holds one model")
    if kind == "transformers":
        return _open_transformers(Path(path), device=device, dtype=dtype)
    gguf = find_gguf(path)
    if kind == "xllamacpp":
        from ta_serve.engines.xllamacpp import XLlamaCppEngine

        return XLlamaCppEngine(
            gguf.file, settings=gguf.settings, context_tokens=context_tokens, parallel=parallel, threads=threads
        )
    from ta_serve.engines.llama_cpp.engine import LlamaCppEngine

    return LlamaCppEngine(
        gguf.file,
        adapters=adapters,
        settings=gguf.settings,
        context_tokens=context_tokens,
        parallel=parallel,
        threads=threads,
    )


def find_gguf(path: Path | str) -> Gguf:
    """The file that `path` stands for: itself, a `gguf` artifact's, or the embedded model's.

    An artifact is verified. Raises InputError, ArtifactError, SetupError.
    """
    if str(path) == EMBEDDED:
        return Gguf(served_gguf(), Settings())
    path = Path(path)
    if path.is_file():
        inside = (path.parent / MANIFEST_NAME).exists()
        return Gguf(path, read_settings(path.parent) if inside else Settings())
    _demand(path)
    artifact = Artifact.open(path, kind="gguf")
    files = [name for name in artifact.manifest.metrics.get("files", {}) if (path / name).is_file()]
    if not files:
        raise ArtifactError(f"{path}: a gguf artifact that names no model file: export it again")
    order = {kind: at for at, kind in enumerate(PREFERRED)}
    best = min(files, key=lambda name: order.get(Path(name).stem.rpartition("-")[2], len(order)))
    return Gguf(artifact.file(best), read_settings(path))


def settings_of(path: Path | str, *, engine: EngineName = "auto") -> Settings:
    """What travels with the model, without loading it. Raises what `open_engine` can know so early."""
    kind = engine_of(path) if engine == "auto" else engine
    if kind in ("openai-http", "ollama") or str(path) == EMBEDDED:
        return Settings()
    if kind == "transformers":
        require_transformers()
        return resolve(Path(path)).settings
    return find_gguf(path).settings


def require_transformers() -> None:
    """SetupError unless the libraries of the transformers engine are there."""
    try:
        import peft  # noqa: F401 - only whether they are there
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise SetupError(f"{error.name} is not installed: install ta-serve[transformers]") from None


def engine_of(path: Path | str) -> EngineName:
    """The engine that `auto` takes. Raises InputError where there is nothing to open."""
    if str(path).startswith(("http://", "https://")):
        return "openai-http"
    if str(path) == EMBEDDED or Path(path).is_file():
        return "llama-cpp"
    folder = Path(path)
    _demand(folder)
    if (folder / MANIFEST_NAME).is_file():
        gguf = Artifact.open(folder, verify=False).manifest.kind == "gguf"
        return "llama-cpp" if gguf else "transformers"
    files = sorted(folder.glob("*.gguf"))
    if files and not (folder / "config.json").exists():
        raise InputError(f"{folder}: not an artifact: name one of its files, such as {files[0]}")
    return "transformers"


def _demand(path: Path) -> None:
    """Raise InputError where there is nothing."""
    if path.exists():
        return
    if path.suffix == ".gguf":
        raise InputError(f"{path}: no such file")
    raise InputError(
        f"{path}: no such file or folder: expected a .gguf file, a gguf, adapter or model artifact, "
        f"a model folder, the name {EMBEDDED}, or a URL"
    )


def _open_transformers(path: Path, *, device: str, dtype: str) -> Any:
    model_dir, adapter_dir, settings = resolve(path)
    require_transformers()
    from ta_serve.engines.transformers import TransformersEngine

    engine = TransformersEngine.load(model_dir, adapter_dir, device=device, dtype=dtype)
    engine.settings = settings
    return engine


def _open_server(url: str, kind: EngineName, model: str | None, api_key: str | None) -> Any:
    if kind == "ollama":
        from ta_serve.engines.ollama import OllamaEngine

        return OllamaEngine(url, model=model)
    from ta_serve.engines.openai_http import OpenAiHttpEngine

    return OpenAiHttpEngine(url, model=model, api_key=api_key)
