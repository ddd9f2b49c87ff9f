"""Unsloth's way to the same adapter: its kernels under the same configuration (`ta-train[unsloth]`).

Checked: the arguments below against the source of unsloth 2026.10.7, a test that they carry the configuration,
and the errors without a GPU and without the package. Not checked: a run. Unsloth needs a GPU, and none was at
hand (November 2026).
"""

from importlib import import_module
from typing import Any

from ta_schemas import InputError, SetupError
from ta_train.config import TrainConfig
from ta_train.machine import on_gpu
from ta_train.models.base_model import BaseModel
from ta_train.models.load import check_modules, lora_settings, uses_bfloat16
from ta_train.models.load import (
    load_tokenizer as load_tokenizer,  # the rendering must not depend on the backend
)


def import_unsloth(config: TrainConfig) -> None:
    """Import it, before transformers, peft and trl: it replaces parts of them as it is imported.

    Raises SetupError without a GPU or without the package.
    """
    if not on_gpu(config):
        raise SetupError("backend: unsloth needs a CUDA GPU, this run has none: set backend to trl")
    try:
        import_module("unsloth")
    except ImportError as error:
        raise SetupError(f"backend: unsloth cannot be loaded ({error}): install ta-train[unsloth]") from None
    except NotImplementedError as error:  # a GPU that it does not serve
        raise SetupError(f"backend: unsloth refuses this GPU ({error}): set backend to trl") from None


def load_with_adapter(config: TrainConfig, base: BaseModel) -> Any:
    """The base model, frozen, with a fresh LoRA adapter, as `models.load.load_with_adapter` gives it."""
    import torch

    fast: Any = import_module("unsloth").FastLanguageModel
    checkpointing = "unsloth" if config.gradient_checkpointing else False
    model, _ = fast.from_pretrained(
        model_name=str(base.path),
        max_seq_length=config.max_length,
        dtype=torch.bfloat16 if uses_bfloat16(config) else torch.float32,
        load_in_4bit=config.quantization == "nf4",  # with double quantization, as Unsloth always does
        use_gradient_checkpointing=checkpointing,
        use_exact_model_name=True,  # this folder, not a quantized copy that Unsloth keeps on the hub
        local_files_only=True,
        random_state=config.seed,
    )
    model.config.use_cache = False
    check_modules(config, model)
    settings = lora_settings(config, model)
    settings.pop("task_type")  # Unsloth sets it
    try:
        return fast.get_peft_model(
            model, **settings, use_gradient_checkpointing=checkpointing, random_state=config.seed
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"backend: unsloth refuses this adapter ({error}): set backend to trl") from None
