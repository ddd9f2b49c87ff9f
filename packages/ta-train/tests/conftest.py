"""A base model of a few thousand parameters and a dataset of a few rows, both made here."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from preference_fixtures import preference_rows, seal_preferences
from rl_fixtures import make_lively_model
from train_fixtures import make_tokenizer, rows, seal_dataset

from ta_train.config import SftConfig
from ta_train.sft import sft


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers as a Hugging Face folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("model") / "tiny"
    folder.mkdir()
    make_tokenizer(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        eos_token_id=1,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed dataset artifact of 36 rows."""
    out = tmp_path_factory.mktemp("data") / "dataset"
    seal_dataset(out, rows())
    return out


@pytest.fixture(scope="session")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal_preferences(tmp_path_factory.mktemp("data") / "preferences", preference_rows())


def short_run(base: Path, dataset: Path, out: Path, **changes: float) -> Path:
    """Four supervised steps, to go on from."""
    config = SftConfig(
        base_model=str(base),
        lora_rank=3,
        lora_alpha=12,
        target_modules=["q_proj", "up_proj"],
        learning_rate=1e-2,
        batch_size=4,
        max_steps=4,
        eval_points=1,
        dtype="float32",
        threads=1,
        max_tokens=33,
        **changes,  # type: ignore[arg-type]
    )
    return sft(config, dataset, out).path


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory, base_model: Path, dataset: Path) -> Path:
    """The base model, tuned a little."""
    return short_run(base_model, dataset, tmp_path_factory.mktemp("sft") / "adapter")


@pytest.fixture(scope="session")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama whose answers differ from prompt to prompt."""
    return make_lively_model(tmp_path_factory.mktemp("model") / "lively")


@pytest.fixture(scope="session")
def lively_adapter(tmp_path_factory: pytest.TempPathFactory, lively: Path, dataset: Path) -> Path:
    """The lively model, tuned a little."""
    return short_run(lively, dataset, tmp_path_factory.mktemp("sft") / "adapter", temperature=0.4)
