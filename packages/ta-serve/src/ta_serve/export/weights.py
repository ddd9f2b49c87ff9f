"""The weights of a model folder, read from safetensors a tensor at a time, without torch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ta_schemas import InputError
from ta_serve.export.needs import need

if TYPE_CHECKING:
    import numpy as np

    from ta_serve.export.lora import Lora

FLOATS = {"F16": 2, "BF16": 2, "F32": 4}
"""safetensors' names of what is exported: bytes of a number."""


class Weights:
    """Named float32 arrays of a model folder, an adapter added where there is one.

    Quantized weights (bitsandbytes, GPTQ, AWQ) are refused: they are no plain matrices any more.
    """

    def __init__(self, folder: Path, lora: "Lora | None" = None) -> None:
        self.folder = folder
        self.lora = lora
        _refuse_quantized(folder)
        self._tensors: dict[str, Any] = {}
        self.shards: dict[str, list[str]] = {}
        """File: the tensors in it."""
        for file in _shards(folder):
            try:
                found = need("gguf.utility", "export").SafetensorsLocal(file).tensors
            except (ValueError, KeyError, OSError, UnicodeDecodeError, MemoryError) as error:
                raise InputError(f"{file}: unreadable safetensors file ({error}): truncated?") from None
            self._tensors.update(found)
            self.shards[file.name] = list(found)
            size = file.stat().st_size
            for name, tensor in found.items():
                if tensor.dtype not in FLOATS:
                    raise InputError(
                        f"{file}: {name} is stored as {tensor.dtype}, expected {', '.join(FLOATS)}: "
                        "quantized weights cannot be exported, name the model they were made from"
                    )
                if tensor.data_range.offset + tensor.data_range.size > size:
                    raise InputError(f"{file}: {name}: the file ends before its data: truncated")
        if lora:
            lora.check(self.shapes())

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name: shape, as torch writes it (rows first)."""
        return {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def dtype(self, name: str) -> str:
        """How a tensor is stored: `F16`, `BF16` or `F32`."""
        return str(self._tensors[name].dtype)

    def read(self, name: str) -> "np.ndarray[Any, Any]":
        """A tensor in float32, with the adapter's part added: W + scale · B A."""
        import numpy as np

        tensor = self._tensors[name]
        array = to_float32(tensor.mmap_bytes(), tensor.dtype).reshape(tensor.shape)
        if self.lora and name in self.lora:
            array = np.add(array, self.lora.delta(name), dtype=np.float32)
        return array


def to_float32(raw: "np.ndarray[Any, Any]", dtype: str) -> "np.ndarray[Any, Any]":
    """Bytes of a safetensors tensor as a flat float32 array."""
    import numpy as np

    if dtype == "BF16":  # the upper half of a float32
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return raw.view(np.float16 if dtype == "F16" else np.float32).astype(np.float32)


def to_bytes(array: "np.ndarray[Any, Any]", dtype: str) -> bytes:
    """The reverse of `to_float32`; to bfloat16 it rounds to the nearest, ties to even."""
    import numpy as np

    array = np.ascontiguousarray(array, dtype=np.float32)
    if dtype == "BF16":
        bits = array.view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()
    return array.astype(np.float16 if dtype == "F16" else np.float32).tobytes()


def _shards(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise InputError(f"{index}: not a safetensors index") from None
        for name in names:
            if Path(name).name != name or not (folder / name).is_file():
                raise InputError(f"{folder / name}: missing, although {index.name} lists it: copy it again")
        return [folder / name for name in names]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    raise InputError(f"{folder}: no model.safetensors: only safetensors weights are exported, nothing pickled")


def _refuse_quantized(folder: Path) -> None:
    config = read_config(folder)
    if "quantization_config" in config:
        method = config["quantization_config"].get("quant_method", "unknown method")
        raise InputError(
            f"{folder / 'config.json'}: quantization_config: weights quantized by {method} cannot be exported: "
            "name the model they were made from (an adapter tuned on them fits it too)"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder. Raises InputError."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{folder}: no config.json: not a Hugging Face model folder") from None
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise InputError(f"{file}: expected a JSON object")
    return config
