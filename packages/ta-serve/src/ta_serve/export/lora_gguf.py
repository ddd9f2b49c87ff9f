"""A LoRA adapter as a GGUF file that llama.cpp puts over the base model's GGUF."""

from pathlib import Path
from typing import Any

from ta_serve.export.family import FAMILIES
from ta_serve.export.lora import Lora
from ta_serve.export.model_gguf import TensorNames, arranged, write_out
from ta_serve.export.needs import need


def write_lora_gguf(lora: Lora, config: dict[str, Any], out: Path, *, name: str) -> int:
    """Write `out` in F16 and return how many matrices are adapted. `config`: of the base model.

    llama.cpp computes W + alpha / rank · B A and takes the rank from B, so rsLoRA's scale goes into alpha.
    """
    import numpy as np

    gguf = need("gguf", "export")
    family = FAMILIES[config["architectures"][0]]
    names = TensorNames(family, config)
    writer = gguf.GGUFWriter(None, family.arch)
    writer.add_type("adapter")
    writer.add_name(name)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, lora.scale * lora.rank)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for weight in lora.targets:
        a, b = lora.pair(weight)
        target = names.of(weight)
        writer.add_tensor(f"{target}.lora_a", np.ascontiguousarray(a, dtype=np.float16))
        rows = arranged(b, weight, config, family)
        writer.add_tensor(f"{target}.lora_b", np.ascontiguousarray(rows, dtype=np.float16))
    write_out(writer, out)
    return len(lora.targets)
