"""A GGUF model of two layers with random weights, and LoRA adapters for it, made in a fraction of a second."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<filename>"]
WIDTH, HIDDEN, LAYERS, HEADS, KV_HEADS, CONTEXT = 64, 96, 2, 4, 2, 512


def byte_tokens() -> list[str]:
    """GPT-2's printable names of the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {byte: chr(byte) for byte in plain}
    others = [byte for byte in range(256) if byte not in names]
    names |= {byte: chr(256 + at) for at, byte in enumerate(others)}
    return [names[byte] for byte in range(256)]


def make_gguf(
    file: Path,
    *,
    seed: int = 0,
    template: str | None = CHATML,
    arch: str = "llama",
    added: Mapping[str, Any] | None = None,
) -> Path:
    """Write a model whose tokens are bytes and a few merges of them; `added` goes onto weights by name."""
    merges = ["Ġ t", "h e", "i n", "Ġ a", "l s"]
    tokens = [*SPECIAL, *byte_tokens(), *(merge.replace(" ", "") for merge in merges)]
    writer = gguf.GGUFWriter(file, arch)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    if template:
        writer.add_chat_template(template)
    random = np.random.default_rng(seed)
    for name, shape in shapes(len(tokens)).items():
        scale = 1 if name.endswith("norm.weight") else 0
        # Wide, so that answers differ from one another.
        weights = scale + 0.35 * random.standard_normal(shape) + (added or {}).get(name, 0)
        writer.add_tensor(name, weights.astype(np.float32))
    finish(writer)
    return file


def shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Tensors of the model, as (output, input)."""
    kv = WIDTH // HEADS * KV_HEADS
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (vocabulary, WIDTH),
    }
    for layer in range(LAYERS):
        found |= {
            f"blk.{layer}.{name}.weight": shape
            for name, shape in {
                "attn_norm": (WIDTH,),
                "attn_q": (WIDTH, WIDTH),
                "attn_k": (kv, WIDTH),
                "attn_v": (kv, WIDTH),
                "attn_output": (WIDTH, WIDTH),
                "ffn_norm": (WIDTH,),
                "ffn_gate": (HIDDEN, WIDTH),
                "ffn_up": (HIDDEN, WIDTH),
                "ffn_down": (WIDTH, HIDDEN),
            }.items()
        }
    return found


def make_lora(file: Path, *, seed: int, width: int = WIDTH) -> Path:
    """Write a random adapter; another `width` than the model's makes it one of another base."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for layer in range(LAYERS):
        name = f"blk.{layer}.attn_q.weight"
        writer.add_tensor(f"{name}.lora_a", random.standard_normal((4, width)).astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", random.standard_normal((width, 4)).astype(np.float32))
    finish(writer)
    return file


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
