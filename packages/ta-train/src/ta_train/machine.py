"""What a configuration asks of the machine, checked before anything expensive begins."""

import importlib.util

from ta_schemas import SetupError
from ta_train.config import TrainConfig


def on_gpu(config: TrainConfig) -> bool:
    """Whether this run trains on a CUDA GPU."""
    if config.device == "cpu":
        return False
    import torch

    return bool(torch.cuda.is_available())


def check_machine(config: TrainConfig) -> None:
    """Raise SetupError, in one line, for the first thing that is not there."""
    gpu = on_gpu(config)
    if config.device == "cuda" and not gpu:
        raise SetupError(
            "device: cuda: torch sees no CUDA GPU here: set device to auto or cpu, or mend the driver"
        )
    if config.attention == "flash_attention_2":
        if not gpu:
            raise SetupError("attention: flash_attention_2 needs a CUDA GPU, this run has none: set it to sdpa")
        if not (_is_there("flash_attn") or _is_there("kernels")):
            raise SetupError(
                "attention: flash_attention_2 needs the package flash-attn: install it or use sdpa"
            )
    if config.quantization == "nf4" and not _is_there("bitsandbytes"):
        raise SetupError("quantization: nf4 needs bitsandbytes: install ta-train[qlora]")


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
