"""Adapters for the tests of merging, and what merged weights must be."""

from pathlib import Path
from typing import Any

from ta_schemas import Artifact, ArtifactWriter, Parent
from ta_train.adapter import write_adapter
from ta_train.config import SftConfig
from ta_train.models.base_model import resolve
from ta_train.models.load import load_tokenizer, load_with_adapter

Weights = dict[str, Any]


def make_adapter(
    out: Path,
    base_folder: Path,
    *,
    seed: int = 1,
    rank: int = 4,
    trained: float = 0.3,
    system_prompt: str = "Answer with a command.",
    base_path: Path | None = None,
    lora: dict[str, Any] | None = None,
) -> Artifact:
    """Seal an adapter whose B is drawn with the standard deviation `trained`: as good as any for a merge."""
    import torch
    from peft import LoraConfig, get_peft_model

    base = resolve(str(base_folder))
    config = SftConfig(base_model=str(base_folder), lora_rank=rank, lora_alpha=2 * rank, seed=seed)
    model = load_with_adapter(config, base)
    if lora:
        settings = {"task_type": "CAUSAL_LM", "r": rank, "target_modules": "all-linear", **lora}
        model = get_peft_model(model.unload(), LoraConfig(**settings))
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=trained) if trained else torch.nn.init.zeros_(parameter)
    parents = [Parent(kind="model", digest=base.digest)]
    with ArtifactWriter(
        out, kind="adapter", producer="test 1", config={"sft": config.model_dump()}, parents=parents
    ) as writer:
        dataset = "sha256:" + f"{seed:064x}"
        write_adapter(
            writer.path,
            config,
            base,
            model,
            load_tokenizer(base),
            system_prompt=system_prompt,
            dataset=dataset,
        )
        writer.environment["base_model_path"] = str(base_path or base.path)
    return Artifact.open(out)


def weights(folder: Path, name: str = "model.safetensors") -> Weights:
    from safetensors.torch import load_file

    return dict(load_file(folder / name))


def update(adapter: Artifact, *, scale: float = 2.0) -> Weights:
    """B @ A times alpha / rank, by the name of the base weight."""
    found = weights(adapter.path, "adapter_model.safetensors")
    prefix, down, up = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
    return {
        f"{key.removeprefix(prefix).removesuffix(down)}.weight": scale
        * found[key.replace(down, up)]
        @ found[key]
        for key in found
        if key.endswith(down)
    }


def learned(model: Artifact, base_model: Path) -> Weights:
    """Merged minus base, where they differ at all."""
    merged, base = weights(model.path), weights(base_model)
    assert merged.keys() == base.keys()
    return {name: merged[name] - base[name] for name in base if not merged[name].equal(base[name])}


def close(found: Weights, wanted: Weights) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name].allclose(wanted[name], rtol=1e-4, atol=1e-5) for name in wanted
    )
