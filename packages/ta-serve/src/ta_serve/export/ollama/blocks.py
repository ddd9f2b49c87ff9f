"""A Go template from a Jinja chat template: its blocks are found by rendering marked contents.

This serves templates that are a sequence of blocks, one a message, with a default system prompt or none: ChatML
(SmolLM2, Qwen), Llama 3, Phi 3 and alike. That the result renders the same is for the parity gate to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ta_schemas import InputError

Message = dict[str, str]


class Render(Protocol):
    """A Jinja chat template; `opening`: whether the begin of an answer follows. Raises InputError."""

    def __call__(self, messages: Sequence[Message], *, opening: bool = True) -> str:
        """The rendered text."""
        ...


@dataclass(frozen=True)
class Blocks:
    """What stands around the contents; a pair is what comes before and after."""

    no_system: str
    """Stands in place of the system block when no system message is given."""
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    opening: str

    def go_template(self) -> str:
        """As Ollama reads it, without white-space trimming: every character counts."""
        default = f"{{{{ else }}}}{_text(self.no_system)}" if self.no_system else ""
        return (
            f"{{{{ if .System }}}}{_around(self.system, '.System')}{default}{{{{ end }}}}"
            f'{{{{ range .Messages }}}}{{{{ if eq .Role "user" }}}}{_around(self.user, ".Content")}'
            f'{{{{ else if eq .Role "assistant" }}}}{_around(self.assistant, ".Content")}{{{{ end }}}}'
            f"{{{{ end }}}}{_text(self.opening)}"
        )


def find_blocks(render: Render, *, bos: str = "", tokenizer_adds_bos: bool = False) -> Blocks:
    """The blocks of a chat template. Raises InputError where it is no sequence of blocks.

    `bos` at the begin is left out when the tokenizer puts it there.
    """
    user, reply, again, system = (
        {"role": role, "content": f"①{text}②"}
        for role, text in (("user", "ask"), ("assistant", "reply"), ("user", "again"), ("system", "system"))
    )
    asked, answered = render([user], opening=False), render([user, reply], opening=False)
    opened = render([user])
    if not opened.startswith(asked):
        raise InputError("the begin of an answer is not simply appended")
    opening = opened[len(asked) :]
    head, user_after = _split(asked, [user])
    *_, assistant_after = _split(answered, [user, reply])
    first, between, next_user, last = _split(render([user, reply, again]), [user, reply, again])
    before_system, after_system, last_with_system = _split(render([system, user]), [system, user])
    user_before = _without(next_user, start=assistant_after)
    if (first, last, last_with_system) != (head, user_after + opening, user_after + opening):
        raise InputError("what stands around a message depends on the other messages")
    first_token = bos if tokenizer_adds_bos else ""
    return Blocks(
        no_system=_without(_without(head, start=first_token), end=user_before),
        system=(_without(before_system, start=first_token), _without(after_system, end=user_before)),
        user=(user_before, user_after),
        assistant=(_without(between, start=user_after), assistant_after),
        opening=opening,
    )


def _split(text: str, messages: list[Message]) -> list[str]:
    parts = []
    for message in messages:
        if text.count(message["content"]) != 1:
            raise InputError(f"a {message['role']} message is not rendered once, as it is")
        before, text = text.split(message["content"])
        parts.append(before)
    return [*parts, text]


def _without(text: str, *, start: str = "", end: str = "") -> str:
    if not text.startswith(start) or not text.endswith(end) or len(text) < len(start) + len(end):
        raise InputError("its messages are no blocks that follow one another")
    return text[len(start) : len(text) - len(end)]


def _around(pair: tuple[str, str], field: str) -> str:
    return f"{_text(pair[0])}{{{{ {field} }}}}{_text(pair[1])}"


def _text(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')
