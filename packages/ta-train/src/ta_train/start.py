"""Where a run starts: the base model with a fresh adapter, or an adapter that another run has sealed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from ta_schemas import Artifact, ArtifactError, InputError
from ta_train.config import TrainConfig
from ta_train.models.base_model import BaseModel

C = TypeVar("C", bound=TrainConfig)

SHAPE = {
    "lora_rank": "r",
    "lora_alpha": "lora_alpha",
    "rslora": "use_rslora",
    "dora": "use_dora",
    "target_modules": "target_modules",
    "bias": "bias",
    "modules_to_save": "modules_to_save",
}
"""What an adapter brings with it: our key and PEFT's."""


@dataclass(frozen=True)
class Start(Generic[C]):
    """The configuration as it holds for this start, and what to load."""

    config: C
    adapter: Artifact | None
    system_prompt: str

    def load(self, base: BaseModel) -> Any:
        """The frozen base model with the adapter to train."""
        from ta_train.models.load import load_with_adapter

        model = load_with_adapter(self.config, base)
        if self.adapter:
            loaded = model.load_adapter(str(self.adapter.path), "default", is_trainable=True)
            if loaded.missing_keys or loaded.unexpected_keys:
                first = [*loaded.missing_keys, *loaded.unexpected_keys][0]
                raise ArtifactError(f"{self.adapter.path}: its weights do not fit the base model, as {first}")
        return model


def start_from(adapter: Path | None, config: C, base: BaseModel) -> Start[C]:
    """Open the adapter to start from; its shape, system prompt and generation defaults travel on.

    Raises ArtifactError for an adapter of another base model, InputError for a key that the adapter decides.
    """
    if adapter is None:
        return Start(config, None, "")
    found = Artifact.open(adapter, kind="adapter")
    settings = json.loads(found.file("settings.json").read_text(encoding="utf-8"))
    lora = json.loads(found.file("adapter_config.json").read_text(encoding="utf-8"))
    if lora["task_type"] != "CAUSAL_LM":
        raise ArtifactError(f"{adapter}: a reward model: start from an adapter that answers")
    made_for = settings["base_model"]
    if made_for["digest"] != base.digest:
        raise ArtifactError(
            f"{adapter}: made for the base model {made_for['name']} ({made_for['digest'][:15]}), not for "
            f"{base.name} ({base.digest[:15]}): set base_model to the one it was made for"
        )
    decided = sorted(config.model_fields_set & SHAPE.keys())
    if decided:
        raise InputError(f"{decided[0]}: the adapter {adapter} has its own: remove the key from the recipe")
    generation = {key: settings["generation"][key] for key in ("max_tokens", "temperature")}
    kept = {key: value for key, value in generation.items() if key not in config.model_fields_set}
    shape = {ours: lora[theirs] for ours, theirs in SHAPE.items()}
    shape["modules_to_save"] = shape["modules_to_save"] or []
    return Start(config.model_copy(update=shape | kept), found, settings["system_prompt"])
