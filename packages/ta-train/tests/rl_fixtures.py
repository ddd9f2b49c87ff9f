"""A model with opinions, prompts, a reward and an interruption for the tests of on-policy training."""

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from train_fixtures import make_tokenizer

from ta_schemas import Artifact
from ta_train.run_log import RunLog

FIXED: dict[str, Any] = {
    "batch_size": 4,
    "max_steps": 2,
    "eval_points": 1,
    "eval_rows": 2,
    "sample_tokens": 4,
    "learning_rate": 1e-2,
    "warmup": 0.0,
    "dtype": "float32",
    "threads": 1,
}
"""The shortest run that means something."""


def make_lively_model(folder: Path, *, seed: int = 0, vocab_size: int = 512) -> Path:
    """A random Llama whose logits spread by about 1, so that a few steps change what it says."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir()
    make_tokenizer(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        eos_token_id=1,
        pad_token_id=2,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def lower_case(prompts: list[Any], answers: list[str], references: list[str]) -> list[float]:
    """The share of small letters: easy to raise, and nothing else raises it."""
    return [sum(letter.islower() for letter in answer) / max(1, len(answer)) for answer in answers]


def lines(artifact: Artifact) -> list[dict[str, Any]]:
    text = (artifact.path / "logs" / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def steps(artifact: Artifact, key: str) -> list[float]:
    return [line[key] for line in lines(artifact) if "loss" in line]


def adapter_digest(model: Any) -> str:
    """What is trained of a PEFT model, as a digest."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        if ".default." in name:
            digest.update(name.encode() + parameter.detach().numpy().tobytes())
    return digest.hexdigest()


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Send this process a Ctrl-C in the middle of a step."""
    original = RunLog.on_step_end

    def on_step_end(self: RunLog, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGINT)
        original(self, args, state, control, **more)

    monkeypatch.setattr(RunLog, "on_step_end", on_step_end)


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the process die after a step, without a word to anybody."""
    original = RunLog.on_step_end

    def on_step_end(self: RunLog, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == step:
            raise RuntimeError("crash")
        original(self, args, state, control, **more)

    monkeypatch.setattr(RunLog, "on_step_end", on_step_end)
