"""What cannot be exported is refused before any work, in one line that says what to do."""

import json
import shutil

import numpy as np
import pytest
from export_fixtures import make_family
from safetensors.numpy import load_file, save_file

from ta_schemas import ArtifactError, InputError
from ta_serve.export.checkout import convert_with
from ta_serve.export.lora import Lora
from ta_serve.export.source import open_source
from ta_serve.export.weights import Weights, to_bytes, to_float32


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A Llama folder; do not write into it."""
    return make_family("smollm2", tmp_path_factory.mktemp("made") / "smollm2")


@pytest.fixture
def folder(made, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(made, tmp_path / "model")


def change(file, **values):
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "MambaForCausalLM is not exported, only LlamaForCausalLM"),
        ({"architectures": ["MambaForCausalLM"]}, "--llama-cpp DIR"),
        ({"hidden_act": "relu"}, "hidden_act 'relu'"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rope_type 'dynamic'"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantized by bitsandbytes"),
        ({"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": True}, "use_sliding_window"),
        (
            {
                "architectures": ["Gemma2ForCausalLM"],
                "hidden_act": "gelu_pytorch_tanh",
                "query_pre_attn_scalar": 7,
            },
            "query_pre_attn_scalar 7",
        ),
    ],
)
def test_a_model_that_llama_cpp_would_compute_otherwise_is_refused_by_name(folder, values, message):
    change(folder / "config.json", **values)
    with pytest.raises(InputError, match=message):
        open_source(folder)


def test_an_unknown_cut_of_the_tokenizer_is_refused(folder):
    change(folder / "tokenizer.json", pre_tokenizer={"type": "Whitespace"})
    with pytest.raises(InputError, match=r"tokenizer.json: pre_tokenizer \['Whitespace'\].*--llama-cpp DIR"):
        open_source(folder)


def test_a_tokenizer_of_another_kind_is_refused(folder):
    change(folder / "tokenizer.json", model={"type": "Unigram", "vocab": []})
    with pytest.raises(InputError, match="a Unigram tokenizer"):
        open_source(folder)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(folder):
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["beyond"] = 9999
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="token 9999 has no row in the embedding"):
        open_source(folder)


def test_integer_weights_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].astype(np.int8)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="model.norm.weight is stored as I8"):
        open_source(folder)


def test_a_truncated_file_of_weights_is_refused(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated"):
        open_source(folder)


def test_pickled_weights_are_not_looked_at(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="only safetensors"):
        open_source(folder)


def test_a_missing_shard_is_named(folder):
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-2.safetensors"}})
    )
    with pytest.raises(InputError, match="model-2.safetensors: missing"):
        open_source(folder)


@pytest.fixture
def lora(tmp_path):
    """A LoRA over one matrix of 64 x 64."""
    made = tmp_path / "lora"
    made.mkdir()
    (made / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4}))
    write_pair(made, "model.layers.0.self_attn.q_proj", rows=64, columns=64)
    return made


def write_pair(folder, module, *, rows, columns):
    pair = {
        f"base_model.model.{module}.lora_A.weight": np.ones((2, columns), np.float32),
        f"base_model.model.{module}.lora_B.weight": np.ones((rows, 2), np.float32),
    }
    save_file(pair, folder / "adapter_model.safetensors")


def test_a_lora_adds_alpha_over_rank_times_b_a(made, lora):
    name = "model.layers.0.self_attn.q_proj.weight"
    plain = Weights(made).read(name)
    assert np.allclose(Weights(made, Lora(lora)).read(name), plain + 2.0 * 2, atol=1e-6)


def test_rs_lora_divides_by_the_root_of_the_rank(lora):
    change(lora / "adapter_config.json", use_rslora=True)
    assert Lora(lora).scale == pytest.approx(4 / 2**0.5)


def test_an_adapter_of_another_size_is_refused(made, lora):
    write_pair(lora, "model.layers.0.self_attn.q_proj", rows=32, columns=64)
    with pytest.raises(ArtifactError, match="as 32 x 64, the base model has it as 64 x 64"):
        Weights(made, Lora(lora))


def test_an_adapter_of_a_deeper_model_is_refused(made, lora):
    write_pair(lora, "model.layers.9.self_attn.q_proj", rows=64, columns=64)
    with pytest.raises(ArtifactError, match=r"adapts model.layers.9.*does not have"):
        Weights(made, Lora(lora))


@pytest.mark.parametrize("option", ["use_dora", "modules_to_save", "rank_pattern", "fan_in_fan_out"])
def test_what_is_no_plain_lora_is_sent_to_the_merge_of_ta_train(lora, option):
    change(lora / "adapter_config.json", **{option: ["x"]})
    with pytest.raises(InputError, match=f"{option} is .*ta-train merge"):
        Lora(lora)


def test_bfloat16_is_rounded_to_the_nearest():
    numbers = np.array([1.0, -2.5, 1.00390625, 3.1415927, 1e30], np.float32)
    again = to_float32(np.frombuffer(to_bytes(numbers, "BF16"), np.uint8), "BF16")
    assert np.allclose(again, numbers, rtol=2**-8)
    assert again[2] == 1.0  # the tie goes to the even one


def test_a_converter_that_fails_is_quoted(folder, tmp_path):
    (tmp_path / "convert_hf_to_gguf.py").write_text("import sys; sys.exit('no such luck')")
    with pytest.raises(InputError, match="exit code 1: no such luck"):
        convert_with(tmp_path, folder, tmp_path / "out.gguf")
