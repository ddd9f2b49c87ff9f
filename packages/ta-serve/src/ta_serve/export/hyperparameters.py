"""The numbers of a config.json as the keys of a GGUF file."""

import math
from typing import Any

from ta_serve.export.family import (
    Family,
    context_length,
    head_size,
    heads,
    kv_heads,
    rope,
    rotary_size,
    sliding_layers,
)


def add_hyperparameters(writer: Any, config: dict[str, Any], family: Family) -> None:
    """Write sizes, norms, rotary settings and attention windows to a gguf.GGUFWriter."""
    writer.add_context_length(context_length(config, family))
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads(config))
    writer.add_head_count_kv(kv_heads(config))
    writer.add_key_length(head_size(config))
    writer.add_value_length(head_size(config))
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-6))
    writer.add_rope_dimension_count(rotary_size(config))
    _add_rope(writer, config)
    if family.arch in ("gemma2", "gemma3"):
        writer.add_sliding_window(config["sliding_window"])
        writer.add_sliding_window_pattern(sliding_layers(config))
        if config.get("final_logit_softcapping"):
            writer.add_final_logit_softcapping(config["final_logit_softcapping"])
        if config.get("attn_logit_softcapping"):
            writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if family.arch == "gemma3":
        writer.add_rope_freq_base_swa(rope(config, "sliding_attention")["rope_theta"])


def _add_rope(writer: Any, config: dict[str, Any]) -> None:
    from gguf import RopeScalingType

    scaling = rope(config)
    writer.add_rope_freq_base(scaling["rope_theta"])
    kind = scaling["rope_type"]
    original = int(scaling["original_max_position_embeddings"])
    if kind == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    elif kind == "yarn":
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(scaling["factor"])
        writer.add_rope_scaling_orig_ctx_len(original)
    elif kind in ("longrope", "su"):
        # arXiv 2402.13753; the factors themselves are tensors.
        stretch = config["max_position_embeddings"] / original
        attention = scaling.get("attention_factor")
        if attention is None:
            attention = 1.0 if stretch <= 1 else math.sqrt(1 + math.log(stretch) / math.log(original))
        writer.add_rope_scaling_type(RopeScalingType.LONGROPE)
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors(attention)
