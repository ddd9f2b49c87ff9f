"""What is exported: the model folder, the adapter over it, where the tokenizer is; checked before any work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ta_schemas import Artifact, InputError, Parent
from ta_schemas.manifest import MANIFEST_NAME
from ta_serve.config import Settings
from ta_serve.export.family import Family, family_of
from ta_serve.export.lora import Lora
from ta_serve.export.vocabulary import Vocabulary
from ta_serve.export.weights import Weights, read_config
from ta_serve.resolve import resolve


@dataclass(frozen=True)
class Source:
    """A model that can be exported."""

    path: Path
    model_dir: Path
    tokenizer_dir: Path
    settings: Settings
    settings_dir: Path
    config: dict[str, Any]
    family: Family | None
    """None where llama.cpp's own converter is to be used."""
    weights: Weights
    vocabulary: Vocabulary | None
    """None where llama.cpp's own converter is to be used."""
    parents: list[Parent]

    @property
    def lora(self) -> Lora | None:
        """The adapter, if there is one."""
        return self.weights.lora

    @property
    def stops(self) -> list[str]:
        """Strings an answer ends at."""
        return list(self.settings.generation.stop)


def open_source(path: Path, *, any_family: bool = False) -> Source:
    """Look at an adapter artifact, a model artifact or a model folder.

    Raises InputError for an unsupported family (unless `any_family`), tokenizer or precision, ArtifactError for
    an adapter of another base.
    """
    model_dir, adapter_dir, settings = resolve(path)
    config = read_config(model_dir)
    family = None if any_family else family_of(config, model_dir)
    lora = Lora(adapter_dir) if adapter_dir else None
    weights = Weights(model_dir, lora)
    tokenizer_dir = adapter_dir if adapter_dir and (adapter_dir / "tokenizer.json").exists() else model_dir
    vocabulary = Vocabulary(tokenizer_dir, rows=_embedding_rows(weights)) if family else None
    if not (tokenizer_dir / "tokenizer_config.json").exists():
        raise InputError(f"{tokenizer_dir}: no tokenizer_config.json: save the tokenizer with transformers")
    folders = [adapter_dir, model_dir] if adapter_dir else [model_dir]
    parents = [
        Artifact.open(folder, verify=False).as_parent for folder in folders if (folder / MANIFEST_NAME).exists()
    ]
    return Source(
        path=path,
        model_dir=model_dir,
        tokenizer_dir=tokenizer_dir,
        settings=settings,
        settings_dir=adapter_dir or model_dir,
        config=config,
        family=family,
        weights=weights,
        vocabulary=vocabulary,
        parents=parents,
    )


def _embedding_rows(weights: Weights) -> int:
    rows = [shape[0] for name, shape in weights.shapes().items() if name.endswith("embed_tokens.weight")]
    if not rows:
        raise InputError(f"{weights.folder}: no token embedding among its tensors")
    return rows[0]
