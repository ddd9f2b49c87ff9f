"""A tiny domain and a tiny base model, made on the spot."""

import json
from pathlib import Path

SYSTEM = "You answer with a command."
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def make_domain(folder: Path) -> Path:
    """Twenty questions to learn from, six held out, four general ones."""
    folder.mkdir(parents=True)
    (folder / "domain.yaml").write_text(
        f"name: {folder.name}\ntitle: Tiny domain\nsystem_prompt: {SYSTEM}\nlicense: Apache-2.0\n"
        "sources:\n  - path: raw\nbenchmark: benchmark.jsonl\ngeneral: general.jsonl\n"
    )
    (folder / "raw").mkdir()
    write(folder / "raw" / "questions.jsonl", [learn(verb, word) for verb in "sw" for word in WORDS])
    write(folder / "benchmark.jsonl", [held(f"b{n}", f"What prints number {n} at once?") for n in range(6)])
    write(folder / "general.jsonl", [held(f"g{n}", f"Which colour has the sky, case {n}?") for n in range(4)])
    return folder


def learn(verb: str, word: str) -> dict[str, object]:
    question, answer = {
        "s": (f"Show the {word} please", f"Use cat {word}.txt"),
        "w": (f"Wipe away {word} now", f"Use rm {word}.txt"),
    }[verb]
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
    }


def held(key: str, question: str) -> dict[str, object]:
    return {
        "id": key,
        "category": key[0],
        "messages": [{"role": "user", "content": question}],
        "scorer": "regex",
        "pattern": "e",
    }


def write(file: Path, rows: list[dict[str, object]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def make_base_model(folder: Path) -> Path:
    """A Llama of two layers with random weights and a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([SYSTEM, *WORDS], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_recipe(file: Path, base: Path) -> Path:
    """A recipe for it that trains in a second."""
    file.write_text(
        f"base_model: {base}\nlora_rank: 2\nlora_alpha: 4\nlearning_rate: 0.1\nbatch_size: 4\n"
        "max_steps: 4\nmax_length: 512\neval_points: 1\neval_rows: 2\nmax_tokens: 6\nthreads: 1\n"
    )
    return file
