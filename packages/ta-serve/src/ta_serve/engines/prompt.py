"""From messages to token ids: what a user writes never becomes a control token of the chat.

`<|im_end|>` typed by a user would end the user's turn and could open the system's. The template's own marks are
parsed, the same text inside a message is spelled out. Everything else has the ids that `transformers` gives it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ta_serve.completion import ChatMessage
from ta_serve.engines.check import Refused

_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
"""Unicode noncharacters, meant for internal use: they stand around the number of a spelled-out piece."""

_HIDDEN = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


class Tokenizer(Protocol):
    """What is needed of a model here."""

    def tokenize(self, text: str, *, marks: bool, begin: bool = False) -> list[int]:
        """Ids of a text; `marks`: control tokens are parsed; `begin`: with the model's first token."""
        ...


class Prompts:
    """Renders and tokenizes; raises Refused for what cannot be."""

    def __init__(
        self,
        render: Callable[[Sequence[ChatMessage]], str],
        tokenizer: Tokenizer,
        *,
        marks: Mapping[str, int],
        longest_text: int,
    ) -> None:
        """`marks`: the control tokens that structure a chat. `longest_text`: more characters never fit."""
        self._render = render
        self._tokenizer = tokenizer
        self._ids = dict(marks)
        by_length = [re.escape(mark) for mark in sorted(marks, key=len, reverse=True)]
        self._marks = re.compile("|".join(by_length) or r"(?!)")
        self._unsafe = re.compile("|".join([*by_length, _OPEN, _CLOSE]))
        self._longest_text = longest_text

    def chat(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Ids of a conversation up to where the assistant speaks."""
        self._check_size(sum(len(value) for message in messages for value in message.values()))
        spelled: list[str] = []

        def hide(found: re.Match[str]) -> str:
            spelled.append(found.group())
            return f"{_OPEN}{len(spelled) - 1}{_CLOSE}"

        hidden = [
            {key: self._unsafe.sub(hide, value) for key, value in message.items()} for message in messages
        ]
        text = self._render(hidden)
        _check_unicode(text)
        return self._around_marks(text, spelled) if spelled else self._tokenizer.tokenize(text, marks=True)

    def text(self, prompt: str) -> list[int]:
        """Ids of a plain completion's prompt. It's the caller's own throughout: control tokens are parsed."""
        self._check_size(len(prompt))
        _check_unicode(prompt)
        return self._tokenizer.tokenize(prompt, marks=True, begin=True)

    def _around_marks(self, text: str, spelled: Sequence[str]) -> list[int]:
        """Split at the template's marks, then put the spelled-out pieces back as plain text."""
        ids: list[int] = []
        start = 0
        for mark in [*self._marks.finditer(text), None]:
            plain = text[start : mark.start() if mark else len(text)]
            restored = _HIDDEN.sub(lambda found: spelled[int(found.group(1))], plain)
            if restored:
                ids += self._tokenizer.tokenize(restored, marks=False)
            if mark:
                ids.append(self._ids[mark.group()])
                start = mark.end()
        return ids

    def _check_size(self, characters: int) -> None:
        # Before tokenizing: 20 MB of text would keep the thread busy for minutes.
        if characters > self._longest_text:
            raise Refused("context_length_exceeded", f"{characters} characters are more than the context holds")


def _check_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refused("invalid_request", f"not valid Unicode: {error.reason} at {error.start}") from None
