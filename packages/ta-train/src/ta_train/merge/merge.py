"""Merging: adapters into their base model, a `model` artifact out (`ta-train merge`)."""

import json
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from ta_schemas import Artifact, ArtifactWriter, InputError, Parent, sealed
from ta_schemas.artifact import refuse_existing
from ta_train import PRODUCER
from ta_train.merge.check import check_merged, load, logits, probe
from ta_train.merge.inputs import (
    MergeConfig,
    common_base,
    note_what_differs,
    refuse_other_tokenizers,
    settled,
    stored_dtype,
)
from ta_train.models.base_model import BaseModel

COMPANIONS = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "settings.json")
"""Copied byte for byte from the (first) adapter, which has them from its base model."""


def merge(
    config: MergeConfig,
    adapters: Sequence[Path],
    out: Path,
    *,
    base_model: str = "",
    replace: bool = False,
    console: Console | None = None,
) -> Artifact:
    """Merge adapter artifacts into the base model they share and seal the model at `out`.

    The saved folder is loaded again and its logits compared with those of the base model under the adapter.
    `base_model` names the base model where it is no longer at the place noted at training. An `out` that is
    sealed already from the same configuration and parents is returned at once. Memory: about 4 bytes a
    parameter, once.

    Raises InputError (configuration), ArtifactError (other bases, another tokenizer), SetupError (no base
    model on this machine), GateError (the merged model is not the adapted one, or equals the base model).
    """
    opened = [Artifact.open(path, kind="adapter") for path in adapters]
    config = settled(config, opened)
    base = common_base(opened, base_model)
    refuse_other_tokenizers(opened)
    identity = {"merge": config.model_dump(), "base_model": base.name}
    parents = [*(adapter.as_parent for adapter in opened), Parent(kind="model", digest=base.digest)]
    done = sealed(out, kind="model", config=identity, parents=parents)
    if done:
        return done
    refuse_existing(out, replace=replace)
    note_what_differs(opened, console or Console(stderr=True))
    with ArtifactWriter(
        out, kind="model", producer=PRODUCER, config=identity, parents=parents, replace=replace
    ) as writer:
        writer.metrics |= _write_merged(config, base, opened, writer.path)
        writer.environment |= {
            "base_model_path": str(base.path),
            **{name: version(name) for name in ("torch", "transformers", "peft")},
        }
    return Artifact.open(out, kind="model")


def _write_merged(
    config: MergeConfig, base: BaseModel, adapters: Sequence[Artifact], folder: Path
) -> dict[str, Any]:
    """Write the model folder and check what was written; the numbers of the check."""
    import torch
    from transformers import AutoTokenizer

    _copy_companions(adapters, folder)
    dtype = stored_dtype(config, base)
    tokens = probe(AutoTokenizer.from_pretrained(folder))
    model = load(base.path)
    at_base = logits(model, tokens)
    adapted_model = _with_adapters(config, model, adapters)
    at_adapted = logits(adapted_model, tokens)
    model = adapted_model.merge_and_unload()
    # In place and a tensor at a time; then gone, before the saved one is loaded.
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    parameters = sum(p.numel() for p in model.parameters())
    del model, adapted_model
    at_merged = logits(load(folder), tokens)
    check = check_merged(base=at_base, adapted=at_adapted, merged=at_merged, dtype=dtype)
    return {**check, "checked_tokens": tokens.shape[1], "dtype": dtype, "parameters": parameters}


def _copy_companions(adapters: Sequence[Artifact], folder: Path) -> None:
    for name in COMPANIONS:
        if (adapters[0].path / name).exists():
            shutil.copy(adapters[0].path / name, folder / name)
    if len(adapters) > 1:  # no single dataset: the parents say which
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        settings.pop("dataset", None)
        text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        (folder / "settings.json").write_text(text, encoding="utf-8")


def _with_adapters(config: MergeConfig, model: Any, adapters: Sequence[Artifact]) -> Any:
    """The model under one adapter: the only one as it is, or the combination."""
    import torch
    from peft import PeftModel

    names = [f"adapter{at}" for at in range(len(adapters))]
    try:
        adapted = PeftModel.from_pretrained(model, str(adapters[0].path), adapter_name=names[0])
        if config.weights == [1.0]:
            return adapted
        for name, adapter in zip(names[1:], adapters[1:], strict=True):
            adapted.load_adapter(str(adapter.path), adapter_name=name)
        for lora in adapted.peft_config.values():
            # The scale of each is settled by now. PEFT 0.21 gives the combination rank as alpha, which means
            # a scale of 1 only where rsLoRA is off.
            lora.use_rslora = False
        torch.manual_seed(config.seed)
        adapted.add_weighted_adapter(
            names,
            config.weights,
            "combined",
            # PEFT's own "linear" sums A and B apart, so that every A meets every B; "cat" is the sum itself.
            combination_type="cat" if config.method == "linear" else config.method,
            density=config.density,
            svd_full_matrices=False,  # the same factors without the part that is cut off
        )
    except ValueError as error:
        raise InputError(f"{adapters[0].path}: PEFT cannot combine these adapters: {error}") from None
    adapted.set_adapter("combined")
    return adapted
