"""The models a person can choose from: those of a run, a path, or a server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ta_schemas import Artifact, ArtifactError
from ta_schemas.manifest import MANIFEST_NAME
from ta_serve.config import read_settings
from ta_serve.embedded import EMBEDDED
from ta_serve.open import PREFERRED
from tunedassist_gradio_demo.run_folder import place_of

Role = Literal["tuned", "base"]


@dataclass(frozen=True)
class Choice:
    """A line of the menu, and what `ta_serve.open.open_engine` needs for it."""

    name: str
    target: str
    """Path, name of the embedded model, or URL."""
    role: Role = "tuned"
    server_model: str | None = None
    """With a URL: which of its models."""
    adapters: dict[str, Path] = field(default_factory=dict)
    """LoRA adapters as GGUF, by name."""


def choices_of_run(run: Path) -> list[Choice]:
    """The quantizations of `run/gguf`, the adapter of `run/adapter`, and the base model of either."""
    gguf, adapter = place_of(run, "gguf"), run / "adapter"
    found = [
        Choice(f"tuned · {file.stem.rpartition('-')[2]} (GGUF)", str(file)) for file in _quantizations(gguf)
    ]
    if (adapter / MANIFEST_NAME).is_file():
        found.append(Choice("tuned · adapter (PyTorch)", str(adapter)))
    for folder in (adapter, gguf):
        if base := base_of(folder, gguf, run.name):
            return [*found, base]
    return found


def choices_of_path(path: str, run: Path) -> list[Choice]:
    """What `--model` names, then the other models of the run."""
    given = Path(path)
    label = given.stem if given.suffix == ".gguf" else f"{given.parent.name}/{given.name}".strip("./")
    rest = [choice for choice in choices_of_run(run) if Path(choice.target) != given]
    return [Choice(f"given · {label}", path), *rest]


def choices_of_server(url: str, models: list[str]) -> list[Choice]:
    """The models of a server; where it cannot be reached yet, its default one under the URL's own name."""
    if not models:
        return [Choice(url, url)]
    return [
        Choice(name, url, role="base" if "base" in name.lower() else "tuned", server_model=name)
        for name in models
    ]


def base_of(folder: Path, gguf: Path, adapter_name: str) -> Choice | None:
    """The base model that an artifact was tuned from, with the LoRA in `gguf` as an adapter over it."""
    if not (folder / MANIFEST_NAME).is_file():
        return None
    base = read_settings(folder).base_model
    if base is None:
        return None
    if base.name == EMBEDDED:
        loras = sorted(gguf.glob("*-lora-*.gguf"))
        adapters = {adapter_name: loras[0]} if loras else {}
        return Choice(f"base · {base.name}", EMBEDDED, role="base", adapters=adapters)
    where = str(_manifest(folder).get("environment", {}).get("base_model_path", ""))
    return Choice(f"base · {base.name}", where, role="base") if where and Path(where).is_dir() else None


def is_url(target: str) -> bool:
    """Whether a server is meant."""
    return target.startswith(("http://", "https://"))


def _quantizations(folder: Path) -> list[Path]:
    """The model files of a `gguf` artifact, the preferred one first."""
    named = [Path(name) for name in _manifest(folder).get("metrics", {}).get("files", {})]
    order = {kind: at for at, kind in enumerate(PREFERRED)}
    there = [folder / name for name in named if (folder / name).is_file()]
    return sorted(there, key=lambda file: order.get(file.stem.rpartition("-")[2], len(order)))


def _manifest(folder: Path) -> dict[str, Any]:
    """A manifest as plain data; empty where there is none or it is damaged."""
    try:
        return Artifact.open(folder, verify=False).manifest.model_dump()
    except ArtifactError:
        return {}
