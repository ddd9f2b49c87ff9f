"""From a path to what must be loaded: the model folder, the adapter over it, the settings."""

import os
from pathlib import Path
from typing import NamedTuple

from ta_schemas import Artifact, ArtifactError, InputError, SetupError
from ta_schemas.manifest import MANIFEST_NAME
from ta_serve.config import Settings, read_settings


class Resolved(NamedTuple):
    """What to load."""

    model_dir: Path
    adapter_dir: Path | None
    settings: Settings


def resolve(path: Path) -> Resolved:
    """Look at an adapter artifact, a model artifact or a plain Hugging Face model folder.

    Artifacts are verified, the base model of an adapter too where it is an artifact. Raises InputError (no
    such folder, no model in it), ArtifactError (tampered, another kind, another base), SetupError (the base
    model of an adapter is not on this machine).
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder: expected an adapter, a model artifact or a model folder")
    if (path / MANIFEST_NAME).exists():
        artifact = Artifact.open(path)
        if artifact.manifest.kind == "adapter":
            return _resolve_adapter(artifact)
        if artifact.manifest.kind == "model":
            return Resolved(path, None, read_settings(path))
        raise ArtifactError(f"{path}: a {artifact.manifest.kind} artifact: expected an adapter or a model")
    if (path / "config.json").exists():
        return Resolved(path, None, read_settings(path))
    if (path / "adapter_config.json").exists():
        raise ArtifactError(f"{path}: an adapter without {MANIFEST_NAME}: half-written")
    raise InputError(f"{path}: neither {MANIFEST_NAME} nor config.json: not an artifact, not a model folder")


def _resolve_adapter(adapter: Artifact) -> Resolved:
    settings = read_settings(adapter.path)
    base = settings.base_model
    if base is None:
        raise ArtifactError(f"{adapter.path}: settings.json names no base model: make the adapter again")
    recorded = str(adapter.manifest.environment.get("base_model_path", ""))
    folder = Path(recorded) if recorded and Path(recorded).is_dir() else _from_cache(base.digest)
    if folder is None:
        where = f"is not at {recorded}" if recorded else "was not recorded"
        raise SetupError(
            f"{adapter.path}: its base model {base.name} {where}: make it with "
            f"'tunedassist train base-model {base.name}'"
        )
    if (folder / MANIFEST_NAME).exists():
        found = Artifact.open(folder, kind="model").digest
        if base.digest and found != base.digest:
            raise ArtifactError(
                f"{adapter.path}: tuned on {base.name} {_short(base.digest)}, but {folder} holds "
                f"{_short(found)}: make the base model or the adapter again"
            )
    return Resolved(folder, adapter.path, settings)


def _from_cache(digest: str) -> Path | None:
    """An adapter from another machine: the same base model where `train base-model` puts it on this one."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tunedassist"
    models = Path(os.environ.get("TUNEDASSIST_CACHE", default)) / "models"
    for manifest in sorted(models.glob(f"*/{MANIFEST_NAME}")):
        if digest and Artifact.open(manifest.parent, verify=False).digest == digest:
            return manifest.parent
    return None


def _short(digest: str) -> str:
    return digest[:19]
