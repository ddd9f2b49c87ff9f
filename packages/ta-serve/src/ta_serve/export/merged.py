"""An adapter merged into its base as a folder of safetensors, the form that vLLM and transformers load."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

from ta_schemas import Artifact, ArtifactWriter, Parent
from ta_serve.export.weights import FLOATS, Weights, to_bytes

TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "chat_template.jinja"),
)


def write_merged(
    weights: Weights,
    tokenizer: Path,
    settings: Path,
    out: Path,
    *,
    producer: str,
    parents: list[Parent],
    config: dict[str, Any],
    replace: bool = False,
) -> Artifact:
    """Seal a `model` artifact at `out`: every tensor in the precision its base has, in the same shards.

    `tokenizer` and `settings`: folders whose files are copied. Memory: the largest tensor.
    """
    with ArtifactWriter(
        out, kind="model", producer=producer, config=config, parents=parents, replace=replace
    ) as writer:
        for shard, names in weights.shards.items():
            _write_shard(weights, names, writer.path / shard)
        for name in ("config.json", "generation_config.json", "model.safetensors.index.json", "LICENSE"):
            _copy(weights.folder / name, writer.path)
        for name in TOKENIZER_FILES:
            _copy(tokenizer / name, writer.path)
        _copy(settings / "settings.json", writer.path)
        writer.metrics["adapted_tensors"] = len(weights.lora.targets) if weights.lora else 0
    return Artifact.open(out, kind="model")


def _write_shard(weights: Weights, names: list[str], file: Path) -> None:
    """A safetensors file: the header's length, the header as JSON, the tensors in its order.

    Written here a tensor at a time: the library wants all of them in memory, and numpy has no bfloat16.
    https://github.com/huggingface/safetensors#format
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in names:
        shape, dtype = weights.shapes()[name], weights.dtype(name)
        end = at + math.prod(shape) * FLOATS[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            stream.write(to_bytes(weights.read(name), weights.dtype(name)))


def _copy(file: Path, folder: Path) -> None:
    if file.exists():
        shutil.copy(file, folder / file.name)
