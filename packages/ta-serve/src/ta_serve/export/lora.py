"""A LoRA adapter folder of PEFT, read without PEFT."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ta_schemas import ArtifactError, InputError
from ta_serve.export.needs import need
from ta_serve.export.weights import to_float32

if TYPE_CHECKING:
    import numpy as np

_PREFIX = "base_model.model."
_NOT_PLAIN = (
    *("use_dora", "use_qalora", "use_bdlora", "lora_bias", "fan_in_fan_out", "modules_to_save"),
    *("alora_invocation_tokens", "layer_replication", "trainable_token_indices", "target_parameters"),
    *("kasa_config", "monteclora_config", "velora_config", "arrow_config", "rank_pattern", "alpha_pattern"),
)
"""Settings of PEFT under which W is not W + scale · B A with one scale; `ta-train merge` understands them."""


class Lora:
    """Pairs A (rank x columns) and B (rows x rank) by the name of the weight they change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = _read_config(folder)
        self._tensors = _read_tensors(folder)
        names = {name.rpartition(".lora_")[0] for name in self._tensors}
        self.targets = {f"{name.removeprefix(_PREFIX)}.weight": name for name in sorted(names)}

    def __contains__(self, weight: object) -> bool:
        return weight in self.targets

    @property
    def rank(self) -> int:
        """The rank r."""
        return int(self.config["r"])

    @property
    def scale(self) -> float:
        """What B A is multiplied by: alpha / r, with rsLoRA alpha / √r (arXiv 2312.03732)."""
        divisor = math.sqrt(self.rank) if self.config.get("use_rslora") else self.rank
        return float(self.config["lora_alpha"]) / divisor

    def pair(self, weight: str) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
        """A and B in float32."""
        stem = self.targets[weight]
        found = []
        for letter in "AB":
            tensor = self._tensors[f"{stem}.lora_{letter}.weight"]
            found.append(to_float32(tensor.mmap_bytes(), tensor.dtype).reshape(tensor.shape))
        return found[0], found[1]

    def delta(self, weight: str) -> "np.ndarray[Any, Any]":
        """scale · B A in float32."""
        import numpy as np

        a, b = self.pair(weight)
        return np.asarray(b @ a * self.scale, dtype=np.float32)

    def check(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Refuse an adapter of another base: every pair must have its weight, of its size."""
        for weight, stem in self.targets.items():
            if weight not in shapes:
                raise ArtifactError(f"{self.folder}: adapts {weight}, which the base model does not have")
            a, b = (self._tensors[f"{stem}.lora_{letter}.weight"].shape for letter in "AB")
            if (b[0], a[1]) != shapes[weight] or a[0] != b[1]:
                raise ArtifactError(
                    f"{self.folder}: adapts {weight} as {b[0]} x {a[1]}, the base model has it as "
                    f"{' x '.join(map(str, shapes[weight]))}: this adapter belongs to another base model"
                )


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "adapter_config.json"
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{folder}: no adapter_config.json: not a PEFT adapter") from None
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON: {error}") from None
    if config.get("peft_type") != "LORA":
        raise InputError(f"{file}: peft_type {config.get('peft_type')!r}: only LORA is exported")
    for key in _NOT_PLAIN:
        if config.get(key):
            raise InputError(
                f"{file}: {key} is {config[key]!r}, which is no plain LoRA: merge it with 'ta-train merge' and "
                "export the model"
            )
    return config


def _read_tensors(folder: Path) -> dict[str, Any]:
    file = folder / "adapter_model.safetensors"
    try:
        tensors: dict[str, Any] = need("gguf.utility", "export").SafetensorsLocal(file).tensors
    except FileNotFoundError:
        raise InputError(f"{folder}: no adapter_model.safetensors") from None
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{file}: unreadable safetensors file ({error}): truncated?") from None
    for name in tensors:
        stem, _, letter = name.rpartition(".lora_")
        if letter not in ("A.weight", "B.weight") or not {
            f"{stem}.lora_A.weight",
            f"{stem}.lora_B.weight",
        } <= set(tensors):
            raise InputError(
                f"{file}: {name} is no part of a plain LoRA over matrices: merge it with 'ta-train merge' and "
                "export the model"
            )
    return tensors
