"""The fast engine against PEFT's own passes: same loss, same gradients, less work."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from ta_schemas import Artifact, InputError
from ta_train.config import SftConfig
from ta_train.fast.engine import fast_engine
from ta_train.fast.llama import FastLlama
from ta_train.fast.pack import pack
from ta_train.sft import sft

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def llama(**changes: Any) -> Any:
    torch.manual_seed(0)
    values: dict[str, Any] = {
        "vocab_size": 96,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }
    return LlamaForCausalLM(LlamaConfig(**{**values, **changes}))


def with_adapter(model: Any, targets: str | list[str] = "all-linear", **changes: Any) -> Any:
    adapted = get_peft_model(
        model,
        LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=targets, **changes),
    )
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return adapted


def padded(rows: list[list[int]], trained_from: list[int]) -> Batch:
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    labels = torch.full_like(ids, -100)
    for i, (row, start) in enumerate(zip(rows, trained_from, strict=True)):
        labels[i, start : len(row)] = torch.tensor(row[start:])
    return ids, mask, labels


SHARING = padded(
    [[5, 6, 7, 8, 20, 21, 22], [5, 6, 7, 8, 30, 31], [5, 6, 9, 40, 41, 42, 43, 44], [50, 51, 52, 53]],
    [4, 3, 5, 2],
)
"""Four rows; three share the first two tokens, two of them the first four, the last shares nothing."""


def peft_loss(model: Any, batch: Batch) -> torch.Tensor:
    ids, mask, labels = batch
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].flatten(0, 1).float()
    return torch.nn.functional.cross_entropy(
        logits, labels[:, 1:].flatten(), ignore_index=-100, reduction="sum"
    )


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"], ["k_proj", "up_proj", "down_proj"]])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_loss_and_gradients_equal_those_of_peft(targets: str | list[str], checkpointing: bool) -> None:
    model = with_adapter(llama(), targets)
    expected = peft_loss(model, SHARING)
    wanted = gradients(model, expected)
    engine = FastLlama(model.get_base_model(), dtype=torch.float32, checkpointing=checkpointing)
    loss = engine.losses(*SHARING).losses.sum()
    got = gradients(model, loss)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert got.keys() == wanted.keys()
    for name in wanted:
        assert torch.allclose(got[name], wanted[name], rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize(
    "change",
    [
        {"num_key_value_heads": 4},
        {"num_key_value_heads": 1},
        {"tie_word_embeddings": False},
        {"head_dim": 16},
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5000.0}},
        {"rms_norm_eps": 1e-2},
    ],
)
def test_every_shape_of_llama_gives_the_same_loss(change: dict[str, Any]) -> None:
    model = with_adapter(llama(**change))
    expected = peft_loss(model, SHARING).item()
    engine = FastLlama(model.get_base_model(), dtype=torch.float32)
    assert engine.losses(*SHARING).losses.sum().item() == pytest.approx(expected, rel=1e-5)


def test_more_trained_tokens_than_a_chunk_of_the_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    from ta_train.fast.functions import CrossEntropy

    model = with_adapter(llama())
    expected = peft_loss(model, SHARING)
    wanted = gradients(model, expected)
    monkeypatch.setattr(CrossEntropy, "CHUNK", 3)
    loss = FastLlama(model.get_base_model(), dtype=torch.float32).losses(*SHARING).losses.sum()
    got = gradients(model, loss)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert all(torch.allclose(got[n], wanted[n], rtol=1e-3, atol=1e-4) for n in wanted)


def test_bfloat16_stays_near_float32_and_rounds() -> None:
    model = with_adapter(llama())
    expected = peft_loss(model, SHARING).item()
    loss = FastLlama(model.get_base_model(), dtype=torch.bfloat16).losses(*SHARING).losses.sum().item()
    assert loss != expected
    assert loss == pytest.approx(expected, rel=0.02)


def test_the_model_itself_still_answers_after_the_engine_took_its_weights_over() -> None:
    model = with_adapter(llama())
    before = peft_loss(model, SHARING).item()
    FastLlama(model.get_base_model(), dtype=torch.float32)
    assert peft_loss(model, SHARING).item() == pytest.approx(before, rel=1e-6)


def test_a_prefix_that_rows_share_is_one_node_and_padding_is_none() -> None:
    batch = pack(*SHARING)
    assert len(batch.token_ids) == 7 + 2 + 6 + 4
    assert batch.n_tokens == 25
    assert len(pack(*SHARING, share=False).token_ids) == 25


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=6), min_size=1, max_size=5))
def test_there_are_as_many_nodes_as_different_prefixes(rows: list[list[int]]) -> None:
    batch = pack(*padded(rows, [1] * len(rows)))
    prefixes = {tuple(row[: i + 1]) for row in rows for i in range(len(row))}
    assert len(batch.token_ids) == len(prefixes)
    width = max(map(len, rows))
    for row, tokens in enumerate(rows):
        nodes = batch.nodes[row * width : row * width + len(tokens)]
        assert batch.token_ids[nodes].tolist() == tokens
        assert batch.positions[nodes].tolist() == list(range(len(tokens)))
    assert len(batch.targets) == sum(len(row) - 1 for row in rows)


def fixed(base_model: Path, **changes: Any) -> SftConfig:
    values: dict[str, Any] = {
        "base_model": str(base_model),
        "lora_rank": 4,
        "lora_alpha": 8,
        "learning_rate": 1e-2,
        "batch_size": 2,
        "max_steps": 6,
        "eval_points": 2,
        "eval_rows": 3,
        "dtype": "float32",
        "threads": 1,
    }
    return SftConfig(**{**values, **changes})


@pytest.mark.parametrize("change", [{}, {"gradient_accumulation": 2}, {"gradient_checkpointing": True}])
def test_a_run_has_the_losses_of_trl_and_seals_an_ordinary_adapter(
    base_model: Path, dataset: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    fast = sft(fixed(base_model, engine="fast", **change), dataset, tmp_path / "fast")
    trl = sft(fixed(base_model, engine="trl", **change), dataset, tmp_path / "trl")
    assert losses(fast) == pytest.approx(losses(trl), rel=2e-4)
    assert fast.manifest.metrics["validation_loss"] == pytest.approx(
        trl.manifest.metrics["validation_loss"], rel=2e-4
    )
    assert fast.manifest.metrics["tokens"] == trl.manifest.metrics["tokens"]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_model), fast.path)
    assert any("lora_B" in name and p.abs().sum() > 0 for name, p in model.named_parameters())


@pytest.mark.slow
def test_in_bfloat16_the_loss_curve_is_that_of_trl_over_a_hundred_steps(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    """Each loss within 0.5 %: both round, but at different places."""
    curves = []
    for engine in ("trl", "fast"):
        config = SftConfig(
            base_model=str(base_model),
            engine=engine,
            dtype="bfloat16",
            lora_rank=4,
            learning_rate=2e-3,
            batch_size=4,
            epochs=20,
            max_steps=100,
            eval_points=1,
            eval_rows=3,
            save_every=100,
            threads=1,
        )
        curves.append(losses(sft(config, dataset, tmp_path / engine)))
    trl, fast = curves
    assert len(trl) == 100
    assert trl != fast
    assert trl[-1] < 0.95 * trl[0]
    assert max(abs(a - b) / a for a, b in zip(trl, fast, strict=True)) < 0.005


def losses(adapter: Artifact) -> list[float]:
    text = (adapter.path / "logs" / "metrics.jsonl").read_text()
    return [line["loss"] for line in map(json.loads, text.splitlines()) if "loss" in line]


def qwen2() -> Any:
    torch.manual_seed(0)
    shape = LlamaConfig(hidden_size=32).to_dict()
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=96,
            hidden_size=shape["hidden_size"],
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    )


@pytest.mark.parametrize(
    ("config", "model", "reason"),
    [
        ({}, lambda: with_adapter(qwen2()), "architecture Qwen2ForCausalLM"),
        ({}, lambda: with_adapter(llama(attention_bias=True)), "with a bias"),
        ({}, lambda: with_adapter(llama(hidden_act="gelu")), "activation gelu"),
        ({"lora_dropout": 0.1}, lambda: with_adapter(llama()), "lora_dropout above 0"),
        ({"quantization": "nf4"}, lambda: with_adapter(llama()), "quantization nf4"),
        ({}, lambda: with_adapter(llama(), modules_to_save=["norm"]), "trained weights besides LoRA"),
        ({}, lambda: with_adapter(llama(), use_dora=True), "trained weights besides LoRA"),
    ],
)
def test_what_it_does_not_serve_goes_to_trl_with_the_reason_or_is_refused(
    config: dict[str, Any], model: Any, reason: str
) -> None:
    engine, why = fast_engine(SftConfig(**config), model())
    assert engine is None
    assert reason in why
    with pytest.raises(InputError, match="engine: fast does not serve this run"):
        fast_engine(SftConfig(engine="fast", **config), model())


def test_trl_is_used_where_it_is_asked_for() -> None:
    assert fast_engine(SftConfig(engine="trl"), with_adapter(llama())) == (None, "")
    assert fast_engine(SftConfig(engine="auto"), with_adapter(llama()))[0] is not None
