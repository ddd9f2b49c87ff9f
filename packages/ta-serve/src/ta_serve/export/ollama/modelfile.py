"""The Modelfile: written, and read again by the same grammar (docs.ollama.com/modelfile)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ta_schemas import InputError

COMMANDS = ("FROM", "PARAMETER", "TEMPLATE", "SYSTEM", "ADAPTER", "LICENSE", "MESSAGE", "REQUIRES")


@dataclass(frozen=True)
class Modelfile:
    """What a Modelfile says."""

    source: str
    """The GGUF file, relative to the Modelfile."""
    template: str
    system: str = ""
    stop: tuple[str, ...] = ()
    num_ctx: int = 0
    temperature: float = 0.0
    licence: str = ""
    adapter: str = ""

    def text(self) -> str:
        """The file's content. Raises InputError where a text cannot be quoted."""
        lines = [f"FROM {self.source}"]
        if self.adapter:
            lines.append(f"ADAPTER {self.adapter}")
        lines.append(f"TEMPLATE {_quoted(self.template)}")
        if self.system:
            lines.append(f"SYSTEM {_quoted(self.system)}")
        if self.num_ctx:
            lines.append(f"PARAMETER num_ctx {self.num_ctx}")
        lines.append(f"PARAMETER temperature {self.temperature:g}")
        lines += [f'PARAMETER stop "{stop}"' for stop in self.stop]
        if self.licence:
            lines.append(f"LICENSE {_quoted(self.licence)}")
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    if '"""' in text or text.endswith('"'):
        raise InputError('a Modelfile cannot hold a text with """ or with " at its end')
    return f'"""{text}"""'


_LINE = re.compile(r'(\w+)[ \t]+(?:"""(.*?)"""|([^\n]*))(?:\n|$)', re.DOTALL)


def read_modelfile(file: Path) -> Modelfile:
    """Read a Modelfile. Raises InputError(file:line: …) for what the grammar does not allow."""
    return parse_modelfile(file.read_text(encoding="utf-8"), where=str(file))


def parse_modelfile(text: str, *, where: str = "Modelfile") -> Modelfile:
    """The same from its text."""
    values: dict[str, str] = {}
    at = 0
    parameters: list[tuple[str, str]] = []
    while at < len(text):
        line_number = text.count("\n", 0, at) + 1
        blank = re.compile(r"[ \t]*(#[^\n]*)?\n").match(text, at)
        if blank:
            at = blank.end()
            continue
        found = _LINE.match(text, at)
        if found is None or found[1].upper() not in COMMANDS:
            raise InputError(f"{where}:{line_number}: expected one of {', '.join(COMMANDS)}")
        command = found[1].upper()
        value = found[2] if found[2] is not None else found[3].strip()
        if found[2] is None and '"""' in value:
            raise InputError(f'{where}:{line_number}: {command}: """ is not closed, or text follows it')
        if command == "PARAMETER":
            name, _, given = value.partition(" ")
            parameters.append((name, given.strip().removeprefix('"').removesuffix('"')))
            if not parameters[-1][1]:
                raise InputError(f"{where}:{line_number}: PARAMETER {name}: no value")
        else:
            values[command] = value
        at = found.end()
    if not values.get("FROM"):
        raise InputError(f"{where}: no FROM")
    named = dict(parameters)
    return Modelfile(
        source=values["FROM"],
        template=values.get("TEMPLATE", ""),
        system=values.get("SYSTEM", ""),
        stop=tuple(value for name, value in parameters if name == "stop"),
        num_ctx=_number(named.get("num_ctx", "0"), where),
        temperature=float(named.get("temperature", "0.8")),
        licence=values.get("LICENSE", ""),
        adapter=values.get("ADAPTER", ""),
    )


def write_modelfile(modelfile: Modelfile, file: Path) -> None:
    """Write it, and refuse what would be read back as something else."""
    text = modelfile.text()
    if parse_modelfile(text) != modelfile:
        raise InputError(f"{file}: a text of it would be read back otherwise: {_first_other(modelfile, text)}")
    file.write_text(text, encoding="utf-8")


def _first_other(modelfile: Modelfile, text: str) -> str:
    again = parse_modelfile(text)
    return next(name for name in vars(modelfile) if getattr(again, name) != getattr(modelfile, name))


def _number(value: str, where: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{where}: PARAMETER num_ctx {value!r}: expected a whole number") from None


def stops_of(texts: Sequence[str]) -> tuple[str, ...]:
    """Stop strings in order, each once, none empty."""
    return tuple(dict.fromkeys(text for text in texts if text))
