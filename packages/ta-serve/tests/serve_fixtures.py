"""A tiny real model, tokenizer and adapter, made on the spot."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ta_schemas import Artifact, ArtifactWriter

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT = ["How do I list the hidden files of a folder?", "Use ls -a .", "Grüße an die Shell: 5 € für 日本語 🙂"]


def make_model(folder: Path, *, seed: int = 0) -> Path:
    """Save a Llama of two layers with random weights, and a byte-level tokenizer with a ChatML template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.6,  # wide, so that answers differ from one another
        bos_token_id=None,
        eos_token_id=fast.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=fast.convert_tokens_to_ids("<|endoftext|>"),
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_model_artifact(folder: Path, *, seed: int = 0) -> Artifact:
    """The same, sealed."""
    with ArtifactWriter(folder, kind="model", producer="test", config={"seed": seed}) as writer:
        make_model(writer.path, seed=seed)
    return Artifact.open(folder)


def make_adapter(folder: Path, base: Path, *, digest: str, settings: dict | None = None) -> Artifact:
    """Seal a random LoRA over `base`, as ta-train does."""
    model = AutoModelForCausalLM.from_pretrained(base)
    torch.manual_seed(1)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    with ArtifactWriter(folder, kind="adapter", producer="test") as writer:
        adapted.save_pretrained(writer.path)
        (writer.path / "README.md").unlink(missing_ok=True)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            (writer.path / name).write_bytes((base / name).read_bytes())
        content = {"base_model": {"name": "tiny-test", "digest": digest}} | (settings or {})
        (writer.path / "settings.json").write_text(json.dumps(content), encoding="utf-8")
        writer.environment["base_model_path"] = str(base)
    return Artifact.open(folder)


def ask(text: str, *, system: str = "") -> list[dict[str, str]]:
    """A conversation of one question."""
    opening = [{"role": "system", "content": system}] if system else []
    return [*opening, {"role": "user", "content": text}]
