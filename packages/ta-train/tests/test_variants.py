"""LoRA's variants, each shown by what it leaves in the adapter; full fine-tuning."""

import json
import math
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from train_fixtures import make_tokenizer

from ta_schemas import Artifact, InputError, SetupError
from ta_train.config import SftConfig
from ta_train.models.base_model import BaseModel, resolve
from ta_train.models.load import load_with_adapter
from ta_train.sft import sft


def fixed(base_model: Path, **changes: Any) -> SftConfig:
    values: dict[str, Any] = {
        "base_model": str(base_model),
        "lora_rank": 4,
        "lora_alpha": 8,
        "learning_rate": 1e-2,
        "batch_size": 2,
        "max_steps": 3,
        "eval_points": 1,
        "eval_rows": 2,
        "dtype": "float32",
        "threads": 1,
        "engine": "trl",
    }
    return SftConfig(**{**values, **changes})


def tensors(adapter: Artifact) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(adapter.path / "adapter_model.safetensors"))


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(torch.arange(3, 23).reshape(2, 10)).logits


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model whose projections have biases: all of attention's and the MLP's."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("biased") / "tiny"
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
        attention_bias=True,
        mlp_bias=True,
        tie_word_embeddings=True,
        eos_token_id=1,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def scaling(config: SftConfig, base: BaseModel) -> float:
    model = load_with_adapter(config, base)
    return float(model.base_model.model.model.layers[0].self_attn.q_proj.scaling["default"])


def test_rslora_scales_by_the_root_of_the_rank(base_model: Path) -> None:
    base = resolve(str(base_model))
    assert scaling(fixed(base_model, lora_rank=9, lora_alpha=18), base) == 18 / 9
    assert scaling(fixed(base_model, lora_rank=9, lora_alpha=18, rslora=True), base) == 18 / math.sqrt(9)


def test_rslora_is_written_down_for_whoever_loads_the_adapter(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    adapter = sft(fixed(base_model, rslora=True), dataset, tmp_path / "adapter")
    assert json.loads((adapter.path / "adapter_config.json").read_text())["use_rslora"] is True


def test_dora_trains_a_magnitude_for_every_adapted_weight(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    adapter = sft(fixed(base_model, dora=True, target_modules=["q_proj"]), dataset, tmp_path / "adapter")
    found = {name: t for name, t in tensors(adapter).items() if "lora_magnitude_vector" in name}
    assert len(found) == 2  # one for each layer
    weight = AutoModelForCausalLM.from_pretrained(base_model).model.layers[0].self_attn.q_proj.weight
    magnitude = next(t for name, t in found.items() if ".layers.0." in name)
    assert magnitude.shape == weight.norm(dim=1).shape
    assert not torch.equal(magnitude, weight.norm(dim=1))  # it was trained, not only written


def test_a_plain_adapter_has_neither_magnitude_nor_bias_nor_whole_modules(
    biased: Path, dataset: Path, tmp_path: Path
) -> None:
    adapter = sft(fixed(biased), dataset, tmp_path / "adapter")
    assert {name.split(".")[-2] for name in tensors(adapter)} == {"lora_A", "lora_B"}


@pytest.mark.parametrize(
    ("bias", "trained"),
    [
        ("lora_only", {"q_proj"}),
        ("all", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
    ],
)
def test_bias_decides_which_biases_are_trained_and_saved(
    bias: str, trained: set[str], biased: Path, dataset: Path, tmp_path: Path
) -> None:
    adapter = sft(fixed(biased, bias=bias, target_modules=["q_proj"]), dataset, tmp_path / "adapter")
    biases = {name: t for name, t in tensors(adapter).items() if name.endswith(".bias")}
    assert {name.split("_proj")[0].split(".")[-1] + "_proj" for name in biases} == trained
    # The keys' biases cannot be learned: softmax does not see what all scores share.
    assert all(t.abs().max() > 1e-4 for name, t in biases.items() if "k_proj" not in name)


def test_biases_that_a_model_has_not_are_refused(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bias: all: this model has no biases"):
        sft(fixed(base_model, bias="all"), dataset, tmp_path / "adapter")


def test_modules_to_save_are_trained_whole_and_a_tied_head_stays_tied(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = sft(fixed(base_model, modules_to_save=["embed_tokens"]), dataset, tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    before = base.model.embed_tokens.weight.clone()
    saved = next(t for name, t in tensors(adapter).items() if name.endswith("embed_tokens.weight"))
    assert saved.shape == before.shape
    assert not torch.equal(saved, before)
    merged = PeftModel.from_pretrained(base, adapter.path).merge_and_unload()
    assert torch.equal(merged.lm_head.weight, merged.model.embed_tokens.weight)
    merged.save_pretrained(tmp_path / "merged")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert torch.equal(logits(again), logits(merged))


def test_a_module_that_is_not_tied_is_saved_alone(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    adapter = sft(fixed(base_model, modules_to_save=["input_layernorm"]), dataset, tmp_path / "adapter")
    whole = {name for name in tensors(adapter) if "lora_" not in name}
    assert {name.split(".")[-2] for name in whole} == {"input_layernorm"}
    assert len(whole) == 2


def test_an_unknown_module_to_save_is_refused(base_model: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="modules_to_save: the model has no module lm_haed"):
        sft(fixed(base_model, modules_to_save=["lm_haed"]), dataset, tmp_path / "adapter")


def test_qlora_keeps_the_frozen_weights_in_four_bits_with_quantized_constants(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="install ta-train[qlora]")
    import torch

    config = fixed(base_model, quantization="nf4", max_steps=6)
    layer = (
        load_with_adapter(config, resolve(str(base_model))).base_model.model.model.layers[0].self_attn.q_proj
    )
    assert layer.base_layer.weight.dtype == torch.uint8
    assert layer.base_layer.weight.numel() == 32 * 32 // 2
    state = layer.base_layer.weight.quant_state
    assert (state.quant_type, state.nested) == ("nf4", True)
    adapter = sft(config, dataset, tmp_path / "adapter")
    assert adapter.manifest.metrics["validation_loss"] < adapter.manifest.metrics["validation_loss_before"]
    plain = sft(fixed(base_model, max_steps=6), dataset, tmp_path / "plain")
    # The 4-bit base is another model: its loss before the first step differs.
    assert (
        adapter.manifest.metrics["validation_loss_before"] != plain.manifest.metrics["validation_loss_before"]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "cuda"}, "device: cuda: torch sees no CUDA GPU"),
        ({"attention": "flash_attention_2"}, "attention: flash_attention_2 needs a CUDA GPU"),
    ],
)
def test_what_needs_a_gpu_is_refused_before_anything_is_written(
    change: dict[str, Any],
    message: str,
    base_model: Path,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SetupError, match=message):
        sft(fixed(base_model, **change), dataset, tmp_path / "adapter")
    assert list(tmp_path.iterdir()) == []


def test_device_cpu_leaves_a_gpu_alone(
    base_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from ta_train.arguments import training_arguments

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for device, use_cpu in (("auto", False), ("cpu", True)):
        arguments = training_arguments(fixed(base_model, device=device), tmp_path, steps=1, fresh=True)
        assert arguments["use_cpu"] is use_cpu


def test_full_fine_tuning_moves_every_weight_and_seals_a_model_to_load_and_to_tune_again(
    base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = sft(fixed(base_model, tuning="full", learning_rate=1e-3), dataset, tmp_path / "model")
    assert model.manifest.kind == "model"
    assert model.manifest.metrics["validation_loss"] < model.manifest.metrics["validation_loss_before"]
    before = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    after = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    assert all(
        not torch.equal(old, new) for old, new in zip(before.parameters(), after.parameters(), strict=True)
    )
    assert after.config.use_cache
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (model.path / name).read_bytes() == (base_model / name).read_bytes()
    settings = json.loads((model.path / "settings.json").read_text())
    assert settings["system_prompt"] == "Answer with a command."
    again = sft(fixed(model.path, max_steps=1), dataset, tmp_path / "adapter")
    assert again.manifest.parents[1].digest == model.digest


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_fully_tuned_model_is_stored_in_the_type_of_its_base(
    dtype: str, base_model: Path, dataset: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    half = tmp_path / "half"
    shutil.copytree(base_model, half)
    AutoModelForCausalLM.from_pretrained(base_model, dtype=getattr(torch, dtype)).save_pretrained(half)
    model = sft(fixed(half, tuning="full", max_steps=1), dataset, tmp_path / "model")
    stored = load_file(model.path / "model.safetensors").values()
    assert {tensor.dtype for tensor in stored} == {getattr(torch, dtype)}
    assert json.loads((model.path / "config.json").read_text())["dtype"] == dtype


def test_a_stopped_full_run_resumes_to_the_same_model(
    base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = fixed(base_model, tuning="full", learning_rate=1e-3, max_steps=6, save_every=2)
    whole = sft(config, dataset, tmp_path / "whole")

    def stop(self: Any, args: Any, state: Any, *_: Any, **__: Any) -> None:
        if state.global_step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ta_train.run_log.RunLog.on_step_begin", stop)
        with pytest.raises(KeyboardInterrupt):
            sft(config, dataset, tmp_path / "broken")
    assert sft(config, dataset, tmp_path / "broken", resume=True).digest == whole.digest


def test_full_tuning_of_four_bit_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="tuning: full trains every weight"):
        SftConfig(tuning="full", quantization="nf4")


def test_unsloth_without_a_gpu_names_the_other_backend(
    base_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SetupError, match="unsloth needs a CUDA GPU, this run has none: set backend to trl"):
        sft(fixed(base_model, backend="unsloth"), dataset, tmp_path / "adapter")
    assert list(tmp_path.iterdir()) == []


def test_unsloth_that_is_not_installed_names_the_extra(
    base_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from ta_train.models.unsloth_model import import_unsloth

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "unsloth", None)
    with pytest.raises(SetupError, match=r"install ta-train\[unsloth\]"):
        import_unsloth(fixed(base_model, backend="unsloth"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tuning": "full"}, "not offered with backend unsloth"),
        ({"attention": "eager"}, "Unsloth chooses its own"),
    ],
)
def test_what_unsloth_would_pass_over_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SftConfig(backend="unsloth", **change)


def test_the_same_configuration_reaches_unsloth(base_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the module, which cannot be imported without a GPU: only what it is told is tested."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from ta_train.models import unsloth_model

    told: dict[str, Any] = {}

    class FastLanguageModel:
        @staticmethod
        def from_pretrained(**arguments: Any) -> tuple[Any, None]:
            told["from_pretrained"] = arguments
            return AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32), None

        @staticmethod
        def get_peft_model(
            model: Any, *, use_gradient_checkpointing: Any, random_state: int, **lora: Any
        ) -> Any:
            told["get_peft_model"] = (use_gradient_checkpointing, random_state)
            return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))

    fake = types.ModuleType("unsloth")
    fake.FastLanguageModel = FastLanguageModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "unsloth", fake)
    config = fixed(
        base_model,
        backend="unsloth",
        quantization="nf4",
        max_length=333,
        seed=7,
        gradient_checkpointing=True,
        lora_rank=5,
        lora_alpha=15,
        lora_dropout=0.25,
        rslora=True,
        dora=True,
        target_modules=["q_proj", "v_proj"],
        modules_to_save=["embed_tokens"],
    )
    base = resolve(str(base_model))
    model = unsloth_model.load_with_adapter(config, base)
    assert told["from_pretrained"] == {
        "model_name": str(base_model),
        "max_seq_length": 333,
        "dtype": torch.float32,
        "load_in_4bit": True,
        "use_gradient_checkpointing": "unsloth",
        "use_exact_model_name": True,
        "local_files_only": True,
        "random_state": 7,
    }
    assert told["get_peft_model"] == ("unsloth", 7)
    plain = load_with_adapter(config.model_copy(update={"backend": "trl", "quantization": "none"}), base)
    assert model.peft_config["default"].to_dict() == plain.peft_config["default"].to_dict()
    assert model.config.use_cache is False
