"""From what `--model` names to an engine that answers."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ta_schemas import InputError
from ta_serve.open import EngineName, open_engine
from tunedassist_api.server import Loaded

UPSTREAM_KEY = "TUNEDASSIST_API_UPSTREAM_KEY"


def load_model(
    model: str,
    *,
    engine: EngineName = "auto",
    adapters: Mapping[str, Path] | None = None,
    context_tokens: int = 0,
    parallel: int = 16,
    threads: int = 0,
    upstream_model: str | None = None,
) -> Loaded:
    """Open it; the key of a server that answers for this one is taken from the environment.

    Raises what `ta_serve.open.open_engine` raises.
    """
    opened = open_engine(
        model,
        engine=engine,
        model=upstream_model,
        api_key=os.environ.get(UPSTREAM_KEY),
        adapters=adapters,
        context_tokens=context_tokens,
        parallel=parallel,
        threads=threads,
    )
    return Loaded(opened, opened.settings)


def model_name(model: str) -> str:
    """`tiny.Q8_0.gguf` is `tiny.Q8_0`, `runs/linux-cli/gguf` is `linux-cli`, a URL its host."""
    if model.startswith(("http://", "https://")):
        return urlsplit(model).hostname or "model"
    path = Path(model).resolve()
    if path.suffix == ".gguf":
        return path.stem
    kinds = ("gguf", "model", "adapter")  # an artifact's own folder is called by its kind
    return (path.parent.name if path.name in kinds else path.name) or "model"


def read_adapters(pairs: list[str]) -> dict[str, Path]:
    """`NAME=FILE` each. Raises InputError."""
    adapters: dict[str, Path] = {}
    for pair in pairs:
        name, equals, file = pair.partition("=")
        if not name or not equals or not file:
            raise InputError(f"--adapter {pair}: expected NAME=FILE.gguf")
        if name in adapters:
            raise InputError(f"--adapter {pair}: {name!r} is there twice")
        adapters[name] = Path(file)
    return adapters
