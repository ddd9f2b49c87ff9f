"""The numbers of a model that memory and time follow from, read from its config.json: no weights are needed."""

from pathlib import Path
from typing import Any, NamedTuple

from ta_schemas import InputError
from ta_train.config import SftConfig, TrainConfig
from ta_train.preference.config import PreferenceConfig


class Shape(NamedTuple):
    """A base model with what a configuration trains on it."""

    parameters: int
    """Of the base model; a tied head counts once."""
    linear: int
    """Those of the matrices inside the layers."""
    largest: int
    """Those of the largest of these matrices."""
    trainable: int
    """What gets a gradient: the adapter, or everything."""
    layers: int
    hidden: int
    intermediate: int
    attention: int
    """Width of all heads together."""
    groups: int
    """Width of all key heads together."""
    heads: int
    vocabulary: int
    fast: bool
    """Whether the fast engine serves this run."""


def read_shape(config: TrainConfig, folder: Path, *, gpu: bool) -> Shape:
    """Build the model of `folder`/config.json without memory (torch's meta device), with the run's adapter.

    Raises InputError where transformers or PEFT refuse it, or where `engine: fast` cannot be had.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from ta_train.fast.engine import fast_engine

    with torch.device("meta"):
        try:
            model = AutoModelForCausalLM.from_config(
                AutoConfig.from_pretrained(folder), attn_implementation="sdpa"
            )
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: not the config.json of a causal language model: {error}") from None
        settings = model.config.get_text_config()
        ends = {
            id(p)
            for end in (model.get_input_embeddings(), model.get_output_embeddings())
            for p in end.parameters()
        }
        matrices = [p.numel() for p in model.parameters() if p.ndim == 2 and id(p) not in ends]
        parameters = sum(p.numel() for p in model.parameters())
        trained = model if getattr(config, "tuning", "lora") == "full" else _with_adapter(config, model)
        trainable = sum(p.numel() for p in trained.parameters() if p.requires_grad)
        fast = not gpu and isinstance(config, (SftConfig, PreferenceConfig)) and fast_engine(config, trained)[0]
    heads = settings.num_attention_heads
    width = getattr(settings, "head_dim", None) or settings.hidden_size // heads
    return Shape(
        parameters=parameters,
        linear=sum(matrices),
        largest=max(matrices),
        trainable=trainable,
        layers=settings.num_hidden_layers,
        hidden=settings.hidden_size,
        intermediate=getattr(settings, "intermediate_size", None) or 4 * settings.hidden_size,
        attention=heads * width,
        groups=(getattr(settings, "num_key_value_heads", None) or heads) * width,
        heads=heads,
        vocabulary=settings.vocab_size,
        fast=bool(fast),
    )


def _with_adapter(config: TrainConfig, model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    from ta_train.models.load import check_modules, lora_settings

    check_modules(config, model)
    try:
        return get_peft_model(model, LoraConfig(**lora_settings(config, model)))
    except ValueError as error:
        raise InputError(f"target_modules: {error}") from None
