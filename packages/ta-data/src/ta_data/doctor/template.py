"""How a row looks to the model: the chat template rendered, with the trained part told from the rest."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from ta_data.pipe import Object
from ta_schemas.errors import InputError

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Part(NamedTuple):
    """A stretch of rendered text; the loss is computed on it where `trained`."""

    text: str
    trained: bool


class TemplateError(Exception):
    """The template raises for this row."""


class Template:
    """The chat template of a model folder, else ChatML."""

    def __init__(self, folder: Path | None) -> None:
        from jinja2 import TemplateSyntaxError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        source, self.name, self._tokens = _load(folder)
        self.is_chatml = source == CHATML
        """It cannot raise, so rows need not be rendered one by one."""
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _raise
        environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
        try:
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise InputError(f"{self.name}:{error.lineno}: not a chat template: {error.message}") from None

    def text(self, messages: list[Object], *, ask: bool) -> str:
        """The rendered messages; with `ask` up to where the assistant begins. Raises TemplateError."""
        from jinja2 import TemplateError as JinjaError

        try:
            return self._template.render(messages=messages, add_generation_prompt=ask, **self._tokens)
        except (JinjaError, TypeError, KeyError, ValueError) as error:
            raise TemplateError(f"{type(error).__name__}: {error}") from None

    def parts(self, messages: list[Object]) -> list[Part]:
        """The rendered row cut into trained and untrained stretches. Raises TemplateError.

        Trained is what a turn of the assistant adds to the rendered prompt before it.
        """
        found: list[Part] = []
        done = ""
        for i, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before, after = self.text(messages[:i], ask=True), self.text(messages[: i + 1], ask=False)
            if not before.startswith(done) or not after.startswith(before):
                raise TemplateError("a later turn changes how earlier ones are rendered")
            found += [Part(before[len(done) :], False), Part(after[len(before) :], True)]
            done = after
        rest = self.text(messages, ask=False)[len(done) :]
        return [part for part in [*found, Part(rest, False)] if part.text]


def _load(folder: Path | None) -> tuple[str, str, dict[str, Any]]:
    if folder is not None and folder.is_dir():
        settings: dict[str, Any] = {}
        config = folder / "tokenizer_config.json"
        if config.is_file():
            settings = json.loads(config.read_text(encoding="utf-8"))
        tokens = {
            key: value["content"] if isinstance(value, dict) else value
            for key, value in settings.items()
            if key in ("bos_token", "eos_token", "unk_token", "pad_token") and value
        }
        file = folder / "chat_template.jinja"
        if file.is_file():
            return file.read_text(encoding="utf-8"), str(file), tokens
        if isinstance(settings.get("chat_template"), str):
            return settings["chat_template"], str(config), tokens
    return CHATML, "ChatML (no model folder given)", {}


def _raise(message: str) -> None:
    raise ValueError(message)
