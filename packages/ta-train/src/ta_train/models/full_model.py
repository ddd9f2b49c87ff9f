"""The model artifact of full fine-tuning: every weight, and everything that must travel with them."""

import json
from pathlib import Path
from typing import Any

from ta_train.adapter import write_companions
from ta_train.config import TrainConfig
from ta_train.models.base_model import BaseModel


def write_model(
    folder: Path,
    config: TrainConfig,
    base: BaseModel,
    model: Any,
    tokenizer: Any,
    *,
    system_prompt: str,
    dataset: str,
    state_dict: dict[str, Any] | None = None,
) -> None:
    """Write a Hugging Face model folder (safetensors) with tokenizer and `settings.json`; `model` is used up.

    The weights were trained in float32 and are stored in the base model's type. `dataset` is the digest of what
    it was trained on; `state_dict` holds the weights where `model` has only a piece of them.
    """
    import torch

    stored = json.loads((base.path / "config.json").read_text(encoding="utf-8"))
    dtype = getattr(torch, stored.get("dtype") or stored.get("torch_dtype") or "float32")
    model.config.use_cache = True  # it was off for the training
    if state_dict is None:
        model.to(dtype)
    else:
        state_dict = {name: tensor.to(dtype) for name, tensor in state_dict.items()}
    model.config.dtype = dtype
    model.save_pretrained(folder, state_dict=state_dict)
    write_companions(folder, config, base, tokenizer, system_prompt=system_prompt, dataset=dataset)
