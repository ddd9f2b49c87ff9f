"""A Hugging Face model folder from a GGUF file of the `llama` architecture (Llama, SmolLM2, Mistral).

Weights are dequantized by the `gguf` library and stored as float16 safetensors: what a quantized GGUF holds
(float16 scales) survives, at half the size of float32. The tokenizer is built from the file's vocabulary and
merges: transformers' own reader gives this family a wrong stop token and a SentencePiece decoder (5.17).
"""

import json
from pathlib import Path
from typing import Any

from ta_schemas import InputError

# Pre-tokenizers of llama.cpp's `tokenizer.ggml.pre` that are "digits one by one, then GPT-2 byte level".
_DIGITS_THEN_BYTES = {"smollm", "starcoder", "refact", "command-r", "codeshell"}


def write_model_folder(gguf_file: Path, folder: Path) -> None:
    """Write config.json, model.safetensors, tokenizer files and generation_config.json to `folder`.

    Raises InputError for an unreadable file or another architecture.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(gguf_file)
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise InputError(f"{gguf_file}: unreadable GGUF file ({error}): truncated, or not GGUF") from None
    fields = reader.fields

    def value(name: str, default: Any = None) -> Any:
        return fields[name].contents() if name in fields else default

    if value("general.architecture") != "llama":
        raise InputError(
            f"{gguf_file}: architecture {value('general.architecture')!r} cannot be tuned from GGUF, only "
            "'llama': name the safetensors folder or hub id of the same model instead"
        )
    if value("tokenizer.ggml.model") != "gpt2" or value("tokenizer.ggml.pre") not in _DIGITS_THEN_BYTES:
        raise InputError(
            f"{gguf_file}: tokenizer {value('tokenizer.ggml.model')}/{value('tokenizer.ggml.pre')} is not read "
            "from GGUF: name the safetensors folder or hub id of the same model instead"
        )
    tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
    config = _model_config(value, tied=tied)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    generation = {"bos_token_id": config["bos_token_id"], "eos_token_id": config["eos_token_id"]}
    generation["pad_token_id"] = config["pad_token_id"]
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")
    _write_weights(reader.tensors, config, folder / "model.safetensors")
    _write_tokenizer(value, folder)


def _model_config(value: Any, *, tied: bool) -> dict[str, Any]:
    heads = value("llama.attention.head_count")
    width = value("llama.embedding_length")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float16",
        "hidden_size": width,
        "intermediate_size": value("llama.feed_forward_length"),
        "num_hidden_layers": value("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": value("llama.attention.head_count_kv", heads),
        "head_dim": value("llama.rope.dimension_count", width // heads),
        "max_position_embeddings": value("llama.context_length"),
        "rms_norm_eps": value("llama.attention.layer_norm_rms_epsilon"),
        "rope_parameters": {"rope_type": "default", "rope_theta": value("llama.rope.freq_base", 10000.0)},
        "vocab_size": len(value("tokenizer.ggml.tokens")),
        "tie_word_embeddings": tied,
        "bos_token_id": value("tokenizer.ggml.bos_token_id"),
        "eos_token_id": value("tokenizer.ggml.eos_token_id"),
        "pad_token_id": value("tokenizer.ggml.padding_token_id", value("tokenizer.ggml.eos_token_id")),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
    }


_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def _write_weights(tensors: Any, config: dict[str, Any], file: Path) -> None:
    import numpy as np
    from gguf.quants import dequantize
    from safetensors.numpy import save_file

    weights = {}
    for tensor in tensors:
        stem = tensor.name.removesuffix(".weight")
        block = stem.split(".")
        if block[0] == "blk":
            name = f"model.layers.{block[1]}.{_LAYER_NAMES[block[2]]}"
        elif stem in _TOP_NAMES:
            name = _TOP_NAMES[stem]
        else:
            continue  # rope_freqs and the like are derived from the configuration
        array = dequantize(tensor.data, tensor.tensor_type)
        if block[-1] in ("attn_q", "attn_k"):
            heads = config["num_attention_heads" if block[-1] == "attn_q" else "num_key_value_heads"]
            array = _interleaved_to_halves(array, heads)
        weights[f"{name}.weight"] = np.ascontiguousarray(array, dtype=np.float16)
    save_file(weights, file, metadata={"format": "pt"})


def _interleaved_to_halves(array: Any, heads: int) -> Any:
    """llama.cpp stores the two halves of a rotary pair side by side, transformers in two halves."""
    rows, columns = array.shape
    paired = array.reshape(heads, rows // heads // 2, 2, columns)
    return paired.swapaxes(1, 2).reshape(rows, columns)


def _write_tokenizer(value: Any, folder: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens: list[str] = value("tokenizer.ggml.tokens")
    types: list[int] = value("tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ", 1)) for merge in value("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    # Types 3 and 4 of the GGUF specification: control and user-defined tokens.
    tokenizer.add_special_tokens(
        [AddedToken(tokens[i], normalized=False) for i, kind in enumerate(types) if kind == 3]
    )
    tokenizer.add_tokens([AddedToken(tokens[i], normalized=False) for i, kind in enumerate(types) if kind == 4])
    tokenizer.save(str(folder / "tokenizer.json"))
    eos = value("tokenizer.ggml.eos_token_id")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[value("tokenizer.ggml.bos_token_id")],
        "eos_token": tokens[eos],
        "pad_token": tokens[value("tokenizer.ggml.padding_token_id", eos)],
        "unk_token": tokens[value("tokenizer.ggml.unknown_token_id", eos)],
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": value("llama.context_length"),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    template = value("tokenizer.chat_template", "")
    if template:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
