"""The Modelfile of an export."""

import json
from collections.abc import Sequence
from pathlib import Path

from ta_schemas import InputError
from ta_serve.engines.llama_cpp.template import ChatTemplate
from ta_serve.export.family import context_length
from ta_serve.export.ollama.blocks import Message, find_blocks
from ta_serve.export.ollama.modelfile import Modelfile, stops_of, write_modelfile
from ta_serve.export.source import Source

LONGEST = 8192
"""Tokens of context at most: Ollama reserves the whole cache at the start."""


def write_ollama(opened: Source, served: Path, file: Path, *, licence: str) -> str:
    """Write a Modelfile for `served`. Gives the reason where the chat template cannot be a Go template."""
    vocabulary = opened.vocabulary
    if opened.family is None or vocabulary is None:
        return "the model was converted by llama.cpp's converter"
    template = _read_template(opened.tokenizer_dir)
    bos, eos = vocabulary.special("bos"), vocabulary.special("eos")
    opened_by = ChatTemplate(template, bos=bos, eos=eos)
    closed = ChatTemplate("{% set add_generation_prompt = false %}" + template, bos=bos, eos=eos)

    def render(messages: Sequence[Message], *, opening: bool = True) -> str:
        return (opened_by if opening else closed).render(messages)

    try:
        blocks = find_blocks(render, bos=bos, tokenizer_adds_bos=vocabulary.puts_bos_first(bos))
        modelfile = Modelfile(
            source=f"./{served.name}",
            template=blocks.go_template(),
            system=opened.settings.system_prompt,
            stop=stops_of([*opened.stops, eos]),
            num_ctx=min(context_length(opened.config, opened.family), LONGEST),
            temperature=opened.settings.generation.temperature,
            licence=_licence_text(opened.model_dir) or licence,
        )
        write_modelfile(modelfile, file)
    except InputError as error:
        return f"the chat template or a text cannot be written as Ollama reads it: {error}"
    return ""


def _read_template(folder: Path) -> str:
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    template = settings.get("chat_template")
    if not isinstance(template, str):
        raise InputError(f"{folder}: no chat template: this is not a chat model")
    return template


def _licence_text(folder: Path) -> str:
    file = folder / "LICENSE"
    return file.read_text(encoding="utf-8") if file.exists() else ""
