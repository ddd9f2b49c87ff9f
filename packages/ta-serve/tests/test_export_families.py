"""Every family on a small random model: token ids and logits of llama.cpp against transformers."""

import numpy as np
import pytest
import torch
from export_fixtures import FAMILIES, PROBES, make_family
from transformers import AutoModelForCausalLM, AutoTokenizer

from ta_serve.export.model_gguf import write_model_gguf
from ta_serve.export.source import open_source
from ta_serve.parity.llama_model import LlamaModel

pytest.importorskip("llama_cpp", reason="needs ta-serve[llama-cpp]")


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def both(request, tmp_path_factory):
    """transformers' tokenizer and model, and the same through a GGUF file."""
    folder = make_family(request.param, tmp_path_factory.mktemp("family") / request.param)
    source = open_source(folder)
    file = folder / "model.gguf"
    write_model_gguf(source.weights, source.config, source.vocabulary, file, name=request.param)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    llama = LlamaModel(file, context_tokens=128)
    yield AutoTokenizer.from_pretrained(folder), model, llama
    llama.close()


def test_token_ids_are_those_of_transformers(both):
    tokenizer, _, llama = both
    opening = "<|im_start|>"  # a chat begins with a special token
    for text in PROBES:
        prompt = f"{opening}user\n{text}<|im_end|>\n"
        expected = tokenizer(prompt, add_special_tokens=False).input_ids
        assert llama.tokenize(prompt) == expected, text


def test_logits_are_those_of_transformers(both):
    tokenizer, model, llama = both
    prompt = "<|im_start|>user\nHow do I list 12 files, für 日本語?<|im_end|>\n<|im_start|>assistant\nUse ls -a"
    ids = tokenizer(prompt, add_special_tokens=False).input_ids
    with torch.inference_mode():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    found = llama.logits(ids)
    # llama.cpp rounds activations and its cache to half precision; 0.002 to 0.003 here.
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.005 * expected.std()
