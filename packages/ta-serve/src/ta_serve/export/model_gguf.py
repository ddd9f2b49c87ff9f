"""A GGUF file in half precision from a model folder, an adapter added on the way, without torch."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ta_schemas import InputError
from ta_serve.export.family import FAMILIES, Family, kv_heads, llama3_factors, rope
from ta_serve.export.hyperparameters import add_hyperparameters
from ta_serve.export.needs import need
from ta_serve.export.vocabulary import Vocabulary
from ta_serve.export.weights import Weights

if TYPE_CHECKING:
    import numpy as np

Named = tuple[str, "np.ndarray[Any, Any]"]

HALF_MAX = 65504.0
"""The largest number of half precision."""


def write_model_gguf(
    weights: Weights,
    config: dict[str, Any],
    vocabulary: Vocabulary,
    out: Path,
    *,
    name: str,
    base_model: str = "",
    licence: str = "",
    stops: list[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write `out`: matrices in F16, vectors in F32, tokenizer, chat template and metadata.

    `stops`: strings an answer ends at. A matrix with a number beyond half precision stays in F32; its
    name is among those returned. Memory: the largest tensor in float32 and the file once.

    Raises InputError for a tensor without a name in llama.cpp.
    """
    gguf = need("gguf", "export")
    family = FAMILIES[config["architectures"][0]]
    names = TensorNames(family, config)
    planned = names.plan(weights, config)
    writer = gguf.GGUFWriter(None, family.arch)
    writer.add_type("model")
    metadata = gguf.Metadata.load(model_path=weights.folder, model_name=_safe_name(name, vocabulary))
    metadata.license = licence or metadata.license
    metadata.finetune = metadata.basename = None  # guessed from the folder's name
    metadata.base_models = [{"name": base_model}] if base_model else metadata.base_models
    metadata.set_gguf_meta_model(writer)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(len(vocabulary.texts))
    add_hyperparameters(writer, config, family)
    vocabulary.write(writer, stops=stops or [])
    kept_wide = []
    for factors, values in rope_tensors(config):
        writer.add_tensor(factors, values)
    for at, (source, target) in enumerate(planned.items(), start=1):
        array = arranged(weights.read(source), source, config, family)
        stored = stored_array(array)
        if array.ndim > 1 and stored.dtype.name == "float32":
            kept_wide.append(source)
        writer.add_tensor(target, stored)
        if progress:
            progress(at, len(planned))
    write_out(writer, out)
    return kept_wide


class TensorNames:
    """transformers' names of tensors and llama.cpp's."""

    def __init__(self, family: Family, config: dict[str, Any]) -> None:
        gguf = need("gguf", "export")
        arch = next(number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == family.arch)
        self.map = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
        self.family = family

    def of(self, source: str) -> str:
        """llama.cpp's name. Raises InputError where it has none."""
        found = self.map.get_name(source, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise InputError(f"tensor {source}: llama.cpp has no place for it in {self.family.arch!r}")
        return str(found)

    def plan(self, weights: Weights, config: dict[str, Any]) -> dict[str, str]:
        """What is written: source name to target name, checked before anything is read."""
        tied = self.family.tied or config.get("tie_word_embeddings", False)
        planned = {}
        for source in weights:
            if source.endswith("rotary_emb.inv_freq"):
                continue  # computed from the configuration
            target = self.of(source)
            if target == "output.weight" and tied:
                continue
            planned[source] = target
        if not tied and "output.weight" not in planned.values():
            raise InputError(f"{weights.folder}: no lm_head.weight, although its embeddings are not tied")
        return planned


def arranged(
    array: "np.ndarray[Any, Any]", source: str, config: dict[str, Any], family: Family
) -> "np.ndarray[Any, Any]":
    """A tensor as llama.cpp computes with it."""
    if family.norm_plus_one and source.endswith("norm.weight"):
        return array + 1
    part = source.rsplit(".", 2)[-2]
    if family.rotary_pairs and part in ("q_proj", "k_proj"):
        count = config["num_attention_heads"] if part == "q_proj" else kv_heads(config)
        return halves_to_pairs(array, int(count))
    return array


def halves_to_pairs(array: "np.ndarray[Any, Any]", count: int) -> "np.ndarray[Any, Any]":
    """Rows of `count` heads from (first half, second half) to neighbours."""
    rows = array.shape[0]
    return array.reshape(count, 2, rows // count // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def stored_array(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Matrices in half precision, if every number fits; vectors in float32, as llama.cpp wants them."""
    import numpy as np

    fits = array.ndim > 1 and float(np.abs(array).max(initial=0.0)) <= HALF_MAX
    return np.ascontiguousarray(array, dtype=np.float16 if fits else np.float32)


def rope_tensors(config: dict[str, Any]) -> list[Named]:
    """Factors of the rotary frequencies that llama.cpp reads as tensors."""
    import numpy as np

    scaling = rope(config)
    if scaling["rope_type"] == "llama3":
        return [("rope_freqs.weight", np.array(llama3_factors(config), dtype=np.float32))]
    if scaling["rope_type"] in ("longrope", "su"):
        return [
            (f"rope_factors_{length}.weight", np.array(scaling[f"{length}_factor"], dtype=np.float32))
            for length in ("long", "short")
        ]
    return []


def write_out(writer: Any, out: Path) -> None:
    """Write a prepared gguf.GGUFWriter; the file appears whole or not at all."""
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    try:
        writer.write_header_to_file(path=partial)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _safe_name(name: str, vocabulary: Vocabulary) -> str:
    # llama.cpp strips spaces after the special tokens of a model with Phi-3 in its name, and of no other.
    strips = any(token.get("rstrip") for token in vocabulary.added.values() if token["special"])
    says_so = re.search("phi-?3", name, re.IGNORECASE)
    if strips and not says_so:
        return f"{name} (Phi-3)"
    return name if strips or not says_so else re.sub("(?i)phi-?3", "Phi 3", name)
