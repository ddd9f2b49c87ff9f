"""What a merge is asked to do, and whether it can be done: refused before any model is loaded."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel as Settings
from pydantic import ConfigDict, Field
from rich.console import Console

from ta_schemas import Artifact, ArtifactError, InputError, SetupError
from ta_train.models.base_model import BaseModel, resolve

PRUNING = ("ties", "dare_linear", "dare_ties")


class MergeConfig(Settings):
    """How adapters become part of the weights."""

    model_config = ConfigDict(extra="forbid")

    method: Literal["linear", "svd", "ties", "dare_linear", "dare_ties"] = Field(
        "linear",
        description="how several adapters are combined. linear: the weighted sum of their updates, exactly; "
        "svd: that sum cut to the largest rank among them; ties (Yadav et al. 2023), dare_linear and "
        "dare_ties (Yu et al. 2023) drop entries first, on A and B apart as PEFT does it",
    )
    weights: list[float] = Field(
        default_factory=list,
        description="one an adapter; none: equal and summing to 1, for ties and dare_ties 1 each (they "
        "average already)",
    )
    density: float | None = Field(
        None, gt=0, lt=1, description="share of entries that ties and dare keep; none: 0.5"
    )
    seed: int = Field(42, ge=0, description="what dare drops is random")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="what the weights are stored in; auto: as the base model is"
    )


def settled(config: MergeConfig, adapters: Sequence[Artifact]) -> MergeConfig:
    """The configuration with weights and density filled in.

    Raises InputError where something cannot be, ArtifactError for an adapter of another sort (a reward model).
    """
    count = len(adapters)
    if not adapters:
        raise InputError("merge: name at least one adapter")
    if config.method != "linear" and count == 1:
        raise InputError(f"--method {config.method} combines adapters: name at least two")
    if config.weights and len(config.weights) != count:
        raise InputError(f"--weights: {len(config.weights)} of them for {count} adapters: give one an adapter")
    if any(weight == 0 for weight in config.weights):
        raise InputError("--weights: an adapter of weight 0 would have no part: leave it out")
    if config.density is not None and config.method not in PRUNING:
        raise InputError(f"--density: {config.method} drops nothing; it is for {', '.join(PRUNING)}")
    loras = [json.loads(adapter.file("adapter_config.json").read_text("utf-8")) for adapter in adapters]
    for adapter, lora in zip(adapters, loras, strict=True):
        if lora.get("task_type") != "CAUSAL_LM":
            raise ArtifactError(
                f"{adapter.path}: {lora.get('task_type')}: only adapters that answer are merged"
            )
    if count > 1 or config.weights not in ([], [1.0]):
        for adapter, lora in zip(adapters, loras, strict=True):
            if lora.get("use_dora") or lora.get("bias", "none") != "none" or lora.get("modules_to_save"):
                raise InputError(
                    f"{adapter.path}: DoRA, trained biases and saved modules cannot be weighted: merge it alone"
                )
    ranks = [(lora["r"], lora.get("rank_pattern") or {}) for lora in loras]
    if config.method in PRUNING and any(rank != ranks[0] for rank in ranks):
        found = ", ".join(f"{a.path} {rank}" for a, (rank, _) in zip(adapters, ranks, strict=True))
        raise InputError(f"--method {config.method} needs adapters of one rank ({found}): use linear or svd")
    each = 1.0 if config.method in ("ties", "dare_ties") else 1 / count
    density = config.density or (0.5 if config.method in PRUNING else None)
    return config.model_copy(update={"weights": config.weights or [each] * count, "density": density})


def common_base(adapters: Sequence[Artifact], base_model: str) -> BaseModel:
    """The base model of all of them, on this machine."""
    wanted = [json.loads(a.file("settings.json").read_text("utf-8"))["base_model"] for a in adapters]
    first = wanted[0]
    for adapter, other in zip(adapters, wanted, strict=True):
        if other["digest"] != first["digest"]:
            raise ArtifactError(
                f"adapters of different base models cannot be merged: {adapters[0].path} was tuned on "
                f"{_named(first)}, {adapter.path} on {_named(other)}"
            )
    recorded = str(adapters[0].manifest.environment.get("base_model_path", ""))
    there = bool(recorded) and Path(recorded).is_dir()
    try:
        found = resolve(base_model or (recorded if there else first["name"]))
    except InputError:
        if base_model:
            raise
        raise SetupError(
            f"{adapters[0].path}: its base model {first['name']} is not on this machine (at training it was "
            f"{recorded or 'not noted where'}): name its folder with --base-model"
        ) from None
    if found.digest != first["digest"]:
        raise ArtifactError(
            f"{adapters[0].path}: tuned on {_named(first)}, but {found.path} holds {found.digest[:19]}: name "
            "the right folder with --base-model"
        )
    return BaseModel(first["name"], found.path, found.digest)


def _named(base: dict[str, str]) -> str:
    return f"{base['name']} ({base['digest'][:19]})"


def refuse_other_tokenizers(adapters: Sequence[Artifact]) -> None:
    """ArtifactError where adapters do not share tokenizer and chat template."""
    for name in ("tokenizer.json", "chat_template.jinja"):
        found = {adapter.file(name).read_bytes(): adapter.path for adapter in adapters}
        if len(found) > 1:
            places = " and ".join(str(path) for path in found.values())
            raise ArtifactError(f"{places} carry different {name}: they cannot be one model")


def note_what_differs(adapters: Sequence[Artifact], console: Console) -> None:
    """Say what a merge settles silently otherwise: whose system prompt travels, and 4-bit training."""
    settings = [json.loads(adapter.file("settings.json").read_text("utf-8")) for adapter in adapters]
    if any(
        (s["system_prompt"], s["generation"]) != (settings[0]["system_prompt"], settings[0]["generation"])
        for s in settings
    ):
        console.print(
            f"The adapters carry different system prompts or generation defaults: those of {adapters[0].path} "
            "travel with the merged model."
        )
    for adapter in adapters:
        methods = [value for value in adapter.manifest.config.values() if isinstance(value, dict)]
        if any(method.get("quantization") == "nf4" for method in methods):
            console.print(
                f"{adapter.path} was trained over 4-bit weights and goes into the unquantized ones: evaluate "
                "the merged model, not the adapter."
            )


def stored_dtype(config: MergeConfig, base: BaseModel) -> str:
    """What the weights are stored in. Raises InputError where the base model's own type is none of ours."""
    if config.dtype != "auto":
        return config.dtype
    stored = json.loads((base.path / "config.json").read_text(encoding="utf-8"))
    dtype = str(stored.get("dtype") or stored.get("torch_dtype") or "float32")
    if dtype not in ("float32", "float16", "bfloat16"):
        raise InputError(f"{base.path}: its weights are {dtype}: say what to store with --dtype")
    return dtype
