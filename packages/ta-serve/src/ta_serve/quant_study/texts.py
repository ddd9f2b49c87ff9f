"""The conversations a quantization is judged on, as token ids, with the place where the answer begins."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ta_schemas import InputError, read_jsonl
from ta_serve.engines.llama_cpp.template import ChatTemplate
from ta_serve.parity.chats import ChatRow
from ta_serve.parity.llama_model import LlamaModel


class Text(NamedTuple):
    """A conversation with its answer."""

    ids: list[int]
    start: int
    """Place of the answer's first token."""


def read_texts(file: Path, gguf: Path, *, max_tokens: int) -> list[Text]:
    """Render and tokenize conversations of a dataset file until `max_tokens` answer tokens are together.

    To be called in a child process. Raises InputError where no row ends with an answer.
    """
    model = LlamaModel(gguf, context_tokens=8)
    source = model.template()
    if not source:
        raise InputError(f"{gguf}: no chat template in it")
    marks = {"bos": model.text_of("bos"), "eos": model.text_of("eos")}
    opened = ChatTemplate(source, **marks)
    whole = ChatTemplate("{% set add_generation_prompt = false %}" + source, **marks)
    texts: list[Text] = []
    tokens = 0
    for row in read_jsonl(file, ChatRow):
        messages = [{"role": str(m.role), "content": m.content} for m in row.messages]
        if messages and messages[-1]["role"] == "assistant":
            ids = model.tokenize(whole.render(messages))
            start = _shared(ids, model.tokenize(opened.render(messages[:-1])))
            texts.append(Text(ids, start))
            tokens += len(ids) - start
        if tokens >= max_tokens:
            break
    model.close()
    if not texts:
        raise InputError(f"{file}: no conversation that ends with an answer")
    return texts


def _shared(ids: Sequence[int], prompt: Sequence[int]) -> int:
    pairs = enumerate(zip(ids, prompt, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(ids), len(prompt)))
