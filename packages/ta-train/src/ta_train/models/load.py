"""Loading the base model: frozen under an adapter, or whole and trainable."""

from typing import Any

from ta_schemas import InputError
from ta_train.config import TrainConfig
from ta_train.machine import on_gpu
from ta_train.models.base_model import BaseModel
from ta_train.processor import cpu_has_bfloat16


def load_tokenizer(base: BaseModel) -> Any:
    """The tokenizer of a model folder; a missing pad token becomes the stop token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.path)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_with_adapter(config: TrainConfig, base: BaseModel) -> Any:
    """The base model, frozen, with a fresh LoRA adapter (B = 0: the first step starts at the base model).

    LoRA: Hu et al. 2021, https://arxiv.org/abs/2106.09685; rsLoRA: Kalajdzievski 2023,
    https://arxiv.org/abs/2312.03732; DoRA: Liu et al. 2024, https://arxiv.org/abs/2402.09353; QLoRA:
    Dettmers et al. 2023, https://arxiv.org/abs/2305.14314. Raises InputError where a module is not there.
    """
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    # On a CPU the weights stay float32 and autocast multiplies in bfloat16; on a GPU they are kept in it.
    half = on_gpu(config) and uses_bfloat16(config)
    model = _load(config, base, torch.bfloat16 if half else torch.float32)
    if config.quantization != "none":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=config.gradient_checkpointing)
    check_modules(config, model)
    try:
        return get_peft_model(model, LoraConfig(**lora_settings(config, model)))
    except ValueError as error:
        raise InputError(f"target_modules: {error}") from None


def load_whole(config: TrainConfig, base: BaseModel) -> Any:
    """The base model with every weight trainable, in float32: steps far below bfloat16's 3 digits count."""
    import torch

    return _load(config, base, torch.float32)


def lora_settings(config: TrainConfig, model: Any) -> dict[str, Any]:
    """Keyword arguments of PEFT's LoraConfig."""
    settings: dict[str, Any] = {
        "task_type": "CAUSAL_LM",
        "r": config.lora_rank,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": config.lora_dropout,
        "target_modules": config.target_modules,
        "use_rslora": config.rslora,
        "use_dora": config.dora,
        "bias": config.bias,
    }
    if config.modules_to_save:
        settings["modules_to_save"] = list(config.modules_to_save)
        # Without it a tied embedding and head would part, and the merged model would be another one.
        settings["ensure_weight_tying"] = _names_a_tied_module(config, model)
    return settings


def uses_bfloat16(config: TrainConfig) -> bool:
    """Whether this run multiplies in bfloat16."""
    if config.dtype != "auto":
        return config.dtype == "bfloat16"
    import torch

    return bool(torch.cuda.is_bf16_supported()) if on_gpu(config) else cpu_has_bfloat16()


def _load(config: TrainConfig, base: BaseModel, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM, set_seed
    from transformers.utils import logging

    logging.disable_progress_bar()
    set_seed(config.seed)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base.path,
            dtype=dtype,
            attn_implementation=config.attention,
            quantization_config=_quantization(config),
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{base.path}: cannot be loaded as a causal language model: {error}") from None
    model.config.use_cache = False
    return model


def _quantization(config: TrainConfig) -> Any:
    if config.quantization == "none":
        return None
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if uses_bfloat16(config) else torch.float32,
    )


def check_modules(config: TrainConfig, model: Any) -> None:
    """Refuse what PEFT passes over in silence."""
    names = [name for name, _ in model.named_modules()]
    for wanted in config.modules_to_save:
        if not any(name.endswith(wanted) for name in names):
            raise InputError(f"modules_to_save: the model has no module {wanted}")
    if config.bias != "none" and not any(name.endswith(".bias") for name, _ in model.named_parameters()):
        raise InputError(f"bias: {config.bias}: this model has no biases: leave it at none")


def _names_a_tied_module(config: TrainConfig, model: Any) -> bool:
    if not model.config.get_text_config().tie_word_embeddings:
        return False
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    wanted = tuple(config.modules_to_save)
    return any(module in ends and name.endswith(wanted) for name, module in model.named_modules())
