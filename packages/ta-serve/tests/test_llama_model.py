"""A file in llama.cpp's C API: the adapter that is put over it does what its numbers say."""

from importlib.util import find_spec

import gguf
import numpy as np
import pytest
from tiny_gguf import make_gguf, make_lora

from ta_schemas import InputError
from ta_serve.parity.llama_model import LlamaModel

pytestmark = pytest.mark.skipif(not find_spec("llama_cpp"), reason="needs ta-serve[llama-cpp]")

TOKENS = [1, 40, 41, 42, 43]


def logits(file, *, adapter=None):
    model = LlamaModel(file, context_tokens=64, adapter=adapter)
    found = model.logits(TOKENS)
    model.close()
    return found


def test_an_adapter_over_its_base_computes_what_the_merged_weights_compute(tmp_path):
    base, lora = make_gguf(tmp_path / "base.gguf"), make_lora(tmp_path / "lora.gguf", seed=1)
    read = {tensor.name: tensor.data for tensor in gguf.GGUFReader(lora).tensors}
    names = {name.removesuffix(".lora_a") for name in read if name.endswith(".lora_a")}
    added = {name: 8.0 / 4 * read[f"{name}.lora_b"] @ read[f"{name}.lora_a"] for name in names}
    merged = make_gguf(tmp_path / "merged.gguf", added=added)
    with_adapter = logits(base, adapter=lora)
    assert np.abs(with_adapter - logits(merged)).max() < 1e-2
    assert np.abs(with_adapter - logits(base)).max() > 1


def test_an_adapter_of_another_base_is_refused(tmp_path):
    wide = make_lora(tmp_path / "wide.gguf", seed=1, width=128)
    with pytest.raises(InputError, match=r"wide\.gguf: llama\.cpp cannot put it over this model"):
        LlamaModel(make_gguf(tmp_path / "base.gguf"), context_tokens=64, adapter=wide)
