"""Which tensor of a GGUF file has which type."""

import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ta_serve.export.gguf_header import read_header

SUPER_BLOCK = 256
"""K and IQ types pack 256 weights of a row at a time; a row of another length takes an older type."""


class Tensors(NamedTuple):
    """What a GGUF file holds."""

    types: dict[str, int]
    """Type: how many tensors, the most frequent first."""
    bits_per_weight: float
    fell_back: dict[str, int]
    """Type taken because rows are no multiple of 256 long: how many tensors."""

    def lines(self) -> list[str]:
        """For people."""
        said = ", ".join(f"{count} {name}" for name, count in self.types.items())
        lines = [f"{said}: {self.bits_per_weight:.2f} bits a weight"]
        if self.fell_back:
            other = ", ".join(f"{count} as {name}" for name, count in self.fell_back.items())
            lines.append(
                f"{sum(self.fell_back.values())} tensors have rows that are no multiple of {SUPER_BLOCK} long "
                f"and could not take the type asked for: {other}"
            )
        return lines


def tensors_of(file: Path, kind: str = "") -> Tensors:
    """Count the tensor types of a GGUF file; `kind` is what was asked for, such as `Q4_K_M`."""
    types: Counter[str] = Counter()
    fell_back: Counter[str] = Counter()
    packed = "_K" in kind or (kind.startswith(("IQ", "TQ")) and kind != "IQ4_NL")
    bits = weights = 0
    for tensor in read_header(file).tensors:
        types[tensor.type] += 1
        bits += tensor.size_bytes * 8
        weights += math.prod(tensor.shape)
        matrix = len(tensor.shape) > 1 and tensor.type not in ("F32", "F16", "BF16")
        if packed and matrix and tensor.shape[0] % SUPER_BLOCK:
            fell_back[tensor.type] += 1
    return Tensors(dict(types.most_common()), bits / max(weights, 1), dict(fell_back.most_common()))
