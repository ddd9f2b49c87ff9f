"""The chat template of a GGUF file, rendered as `transformers` renders it."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ta_schemas import InputError
from ta_serve.completion import ChatMessage


class ChatTemplate:
    """A compiled template. It comes with the model file, so it runs in jinja's sandbox."""

    def __init__(self, source: str, *, bos: str, eos: str) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
        )
        environment.filters["tojson"] = _tojson
        environment.globals.update(raise_exception=_refuse, strftime_now=_now, bos_token=bos, eos_token=eos)
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise InputError(f"the chat template is no valid jinja: {error}") from None
        self.source = source

    def render(self, messages: Sequence[ChatMessage]) -> str:
        """The prompt up to where the assistant speaks. Raises InputError where the template refuses it."""
        try:
            return self._template.render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=True,
                tools=None,
                documents=None,
            )
        except (TemplateError, TypeError, ValueError, KeyError, OverflowError) as error:
            raise InputError(f"the chat template refuses the messages: {error}") from None


class _Generation(Extension):
    """`{% generation %}` marks what the assistant says, for training; in an answer it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - jinja wants it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any
) -> str:  # jinja's own escapes HTML
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)
