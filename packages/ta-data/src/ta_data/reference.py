"""Every option of every command, and every key of the configuration files, as Markdown.

python -m ta_data.reference      # the part of README.md below "Every option"; a test compares the two
"""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.models import ArgumentInfo

from ta_data.card import table
from ta_data.doctor.config import DoctorConfig, Threshold
from ta_data.domain import Domain, Source, SplitSettings

FILES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("domain.yaml", Domain),
    ("domain.yaml, each of `sources`", Source),
    ("domain.yaml, `split`", SplitSettings),
    ("doctor.yaml (`doctor --config`)", DoctorConfig),
    ("doctor.yaml, each of `thresholds`", Threshold),
)


def reference() -> str:
    """The tables, a heading each."""
    parts = ["# Options of ta-data", "Made by `python -m ta_data.reference`; not to be edited."]
    parts += [part for name, command in _commands() for part in (f"## `ta-data {name}`", _options(command))]
    for name, model in FILES:
        parts += [f"## {name}", _keys(model)]
    return "\n\n".join(parts) + "\n"


def _commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    from ta_data.cli import app

    for command in app.registered_commands:
        if command.name and command.callback:
            yield command.name, command.callback


def _options(command: Callable[..., Any]) -> str:
    rows = []
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        kind, info = get_args(hints[name])[:2]
        about = info.help
        for part in (kind, *get_args(kind)):
            if get_origin(part) is Literal:
                about += f" One of {', '.join(f'`{choice}`' for choice in get_args(part))}."
        required = parameter.default is inspect.Parameter.empty
        rows.append([_names(name, kind, info), _default(parameter.default, required=required), about])
    return table(["option", "default", "what it does"], rows)


def _names(name: str, kind: Any, info: Any) -> str:
    if isinstance(info, ArgumentInfo):
        return name.upper()
    if info.param_decls:
        return ", ".join(f"`{given}`" for given in info.param_decls)
    dashed = name.replace("_", "-")
    return f"`--{dashed}`, `--no-{dashed}`" if kind is bool else f"`--{dashed}`"


def _keys(model: type[BaseModel]) -> str:
    rows = [
        [f"`{name}`", _default(_value(field), required=field.is_required()), field.description or ""]
        for name, field in model.model_fields.items()
    ]
    return table(["key", "default", "what it does"], rows)


def _value(field: Any) -> Any:
    return (
        field.default_factory()
        if field.default is PydanticUndefined and field.default_factory
        else field.default
    )


def _default(value: Any, *, required: bool) -> str:
    if required:
        return "required"
    if value is True or value is False:
        return "on" if value else "off"
    return f"`{value}`" if isinstance(value, str | int | float | Path) and value != "" else ""


if __name__ == "__main__":
    print(reference(), end="")
