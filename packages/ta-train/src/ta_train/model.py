"""Loading the frozen base model and laying the adapter over it."""

from typing import Any

from ta_schemas import InputError, SetupError
from ta_train.base_model import BaseModel
from ta_train.config import TrainConfig
from ta_train.processor import cpu_has_bfloat16


def load_tokenizer(base: BaseModel) -> Any:
    """The tokenizer of a model folder; a missing pad token becomes the stop token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.path)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_with_adapter(config: TrainConfig, base: BaseModel) -> Any:
    """The base model, frozen, with a fresh LoRA adapter (B = 0: the first step starts at the base model)."""
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, set_seed
    from transformers.utils import logging

    logging.disable_progress_bar()
    set_seed(config.seed)
    on_gpu = torch.cuda.is_available()
    # On a CPU the weights stay float32 and autocast multiplies in bfloat16; on a GPU they are kept in it.
    weights = torch.bfloat16 if on_gpu and uses_bfloat16(config) else torch.float32
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base.path,
            dtype=weights,
            attn_implementation=config.attention,
            quantization_config=_quantization(config),
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{base.path}: cannot be loaded as a causal language model: {error}") from None
    model.config.use_cache = False
    if config.quantization != "none":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=config.gradient_checkpointing)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=config.target_modules,
    )
    try:
        return get_peft_model(model, lora)
    except ValueError as error:
        raise InputError(f"target_modules: {error}") from None


def uses_bfloat16(config: TrainConfig) -> bool:
    """Whether this run multiplies in bfloat16."""
    if config.dtype != "auto":
        return config.dtype == "bfloat16"
    import torch

    return bool(torch.cuda.is_bf16_supported()) if torch.cuda.is_available() else cpu_has_bfloat16()


def _quantization(config: TrainConfig) -> Any:
    if config.quantization == "none":
        return None
    try:
        import bitsandbytes  # noqa: F401 - only whether it is there
    except ImportError:
        raise SetupError("quantization nf4 needs bitsandbytes: install ta-train[qlora]") from None
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if uses_bfloat16(config) else torch.float32,
    )
