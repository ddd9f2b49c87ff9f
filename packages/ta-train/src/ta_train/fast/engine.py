"""Which engine a run gets, and the reason where it is not the fast one."""

from typing import Any

import torch

from ta_schemas import InputError
from ta_train.config import SftConfig
from ta_train.fast.llama import FastLlama
from ta_train.machine import on_gpu
from ta_train.models.load import uses_bfloat16
from ta_train.preference.config import PreferenceConfig

ARCHITECTURES = ("LlamaForCausalLM",)


def fast_engine(config: SftConfig | PreferenceConfig, model: Any) -> tuple[FastLlama | None, str]:
    """The fast engine over a PEFT model, or None and why not; (None, "") where another was asked for.

    Raises InputError where `engine: fast` cannot be had.
    """
    if config.engine in ("trl", "transformers"):
        return None, ""
    reason = _why_not(config, model)
    if reason and config.engine == "fast":
        raise InputError(f"engine: fast does not serve this run ({reason}): use engine auto")
    if reason:
        return None, reason
    dtype = torch.bfloat16 if uses_bfloat16(config) else torch.float32
    return FastLlama(model.get_base_model(), dtype=dtype, checkpointing=config.gradient_checkpointing), ""


def _why_not(config: SftConfig | PreferenceConfig, model: Any) -> str:
    if on_gpu(config):
        return "it is for a CPU"
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    architecture = type(causal).__name__
    if architecture not in ARCHITECTURES:
        return f"architecture {architecture}"
    settings = causal.config
    if getattr(settings, "attention_bias", False) or getattr(settings, "mlp_bias", False):
        return "linear layers with a bias"
    if settings.hidden_act != "silu":
        return f"activation {settings.hidden_act}"
    if config.quantization != "none":
        return f"quantization {config.quantization}"
    if config.lora_dropout:
        return "lora_dropout above 0"
    others = [name for name, p in model.named_parameters() if p.requires_grad and not _is_lora(name)]
    if others:
        return f"trained weights besides LoRA: {others[0]}"
    return ""


def _is_lora(name: str) -> bool:
    return ".lora_A." in name or ".lora_B." in name
