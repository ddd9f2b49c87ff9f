"""The model families that are exported: what llama.cpp calls them and how it wants their numbers.

Facts from llama.cpp's loaders (`src/models/*.cpp` of release 0.3.36 of llama-cpp-python) and transformers 5.17.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ta_schemas import InputError


@dataclass(frozen=True)
class Family:
    """A family by the name that config.json gives its architecture."""

    arch: str
    """llama.cpp's name."""
    activation: str = "silu"
    rotary_pairs: bool = False
    """llama.cpp rotates neighbours (2i, 2i+1) here, transformers halves (i, i + d/2): rows of Q and K move."""
    norm_plus_one: bool = False
    """transformers keeps the norms' weights minus one."""
    tied: bool = False
    """llama.cpp knows no output matrix apart from the embedding."""


FAMILIES = {
    "LlamaForCausalLM": Family("llama", rotary_pairs=True),  # SmolLM2 too
    "MistralForCausalLM": Family("llama", rotary_pairs=True),
    "Qwen2ForCausalLM": Family("qwen2"),
    "Qwen3ForCausalLM": Family("qwen3"),
    "GemmaForCausalLM": Family("gemma", activation="gelu_pytorch_tanh", norm_plus_one=True, tied=True),
    "Gemma2ForCausalLM": Family("gemma2", activation="gelu_pytorch_tanh", norm_plus_one=True, tied=True),
    "Gemma3ForCausalLM": Family("gemma3", activation="gelu_pytorch_tanh", norm_plus_one=True),
    "Phi3ForCausalLM": Family("phi3"),
}


def family_of(config: dict[str, Any], folder: Path) -> Family:
    """The family of a config.json. Raises InputError, by name, before any work."""
    where = folder / "config.json"
    name = (config.get("architectures") or ["no architecture"])[0]
    if name not in FAMILIES:
        raise InputError(
            f"{where}: architectures: {name} is not exported, only {', '.join(FAMILIES)}: name a checkout of "
            "llama.cpp, whose converter is then used: --llama-cpp DIR"
        )
    family = FAMILIES[name]
    activation = config.get("hidden_activation") or config.get("hidden_act") or family.activation
    if activation not in (family.activation, "gelu" if family.activation.startswith("gelu") else ""):
        raise InputError(
            f"{where}: hidden_act {activation!r}: llama.cpp computes {name} with {family.activation}"
        )
    if config.get("use_sliding_window"):
        raise InputError(f"{where}: use_sliding_window: llama.cpp does not apply the window of {name}")
    if family.arch in ("gemma2", "gemma3"):
        _check_gemma_scale(config, family.arch, where)
    if family.arch in ("qwen2", "phi3") and head_size(config) * heads(config) != config["hidden_size"]:
        raise InputError(f"{where}: head_dim: llama.cpp wants head_dim x heads = hidden_size for {name}")
    rope_kind(config, where)
    return family


def heads(config: dict[str, Any]) -> int:
    """Number of query heads."""
    return int(config["num_attention_heads"])


def kv_heads(config: dict[str, Any]) -> int:
    """Number of key and value heads."""
    return int(config.get("num_key_value_heads") or heads(config))


def head_size(config: dict[str, Any]) -> int:
    """Length of a head."""
    return int(config.get("head_dim") or config["hidden_size"] // heads(config))


def rope(config: dict[str, Any], layers: str = "full_attention") -> dict[str, Any]:
    """The rotary settings in one form: transformers 5 keeps them in one place, 4 in three."""
    found = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if layers in found:  # a set for each kind of layer
        found = dict(found[layers] or {})
    elif layers == "sliding_attention":
        found = {"rope_theta": config.get("rope_local_base_freq", 10000.0)}
    found.setdefault("rope_theta", config.get("rope_theta", 10000.0))
    found["rope_type"] = found.get("rope_type") or found.get("type") or "default"
    found.setdefault(
        "original_max_position_embeddings",
        config.get("original_max_position_embeddings") or config.get("max_position_embeddings"),
    )
    return found


def rope_kind(config: dict[str, Any], where: Path) -> str:
    """The kind of rotary scaling. Raises InputError for one that llama.cpp does not compute."""
    kind = str(rope(config)["rope_type"])
    known = ("default", "linear", "yarn", "llama3", "longrope", "su")
    if kind not in known:
        raise InputError(f"{where}: rope_type {kind!r}: expected one of {', '.join(known)}")
    return kind


def rotary_size(config: dict[str, Any]) -> int:
    """How many of a head's numbers are rotated."""
    partial = rope(config).get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1.0
    return int(head_size(config) * partial)


def llama3_factors(config: dict[str, Any]) -> list[float]:
    """What Llama 3.1's scaling divides each frequency by (transformers' `rope_type: llama3`)."""
    scaling = rope(config)
    factor = float(scaling["factor"])
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    original = float(scaling["original_max_position_embeddings"])
    size = rotary_size(config)
    factors = []
    for at in range(0, size, 2):
        wavelength = 2 * math.pi * float(scaling["rope_theta"]) ** (at / size)
        if wavelength < original / high:
            factors.append(1.0)
        elif wavelength > original / low:
            factors.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


def sliding_layers(config: dict[str, Any]) -> list[bool]:
    """For each layer of Gemma 2 or 3 whether it sees only the window."""
    types = config.get("layer_types")
    if types:
        return [kind == "sliding_attention" for kind in types]
    every = int(config.get("sliding_window_pattern") or (6 if "gemma3" in config["model_type"] else 2))
    return [(at + 1) % every != 0 for at in range(int(config["num_hidden_layers"]))]


def notes(config: dict[str, Any], family: Family) -> list[str]:
    """What llama.cpp will do otherwise than transformers, in words."""
    window = config.get("sliding_window")
    if family.arch in ("llama", "phi3") and window and window < config["max_position_embeddings"]:
        return [
            f"the sliding window of {window} tokens is not applied by llama.cpp for this family: the context "
            f"is set to {window}, where both are the same"
        ]
    return []


def context_length(config: dict[str, Any], family: Family) -> int:
    """Tokens the file says it takes: up to there it computes what transformers computes."""
    longest = int(config["max_position_embeddings"])
    window = config.get("sliding_window")
    return min(longest, int(window)) if family.arch in ("llama", "phi3") and window else longest


def _check_gemma_scale(config: dict[str, Any], arch: str, where: Path) -> None:
    # llama.cpp knows the 27B models by their number of layers and divides by another root there.
    large = int(config["num_hidden_layers"]) == {"gemma2": 46, "gemma3": 62}[arch]
    expected = config["hidden_size"] // heads(config) if large else head_size(config)
    if config.get("query_pre_attn_scalar", 256) != expected:
        raise InputError(
            f"{where}: query_pre_attn_scalar {config.get('query_pre_attn_scalar', 256)}: llama.cpp computes "
            f"{arch} with {expected}"
        )
