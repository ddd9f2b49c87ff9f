"""Go's text/template in the subset that we write, and what Ollama does around it.

Fields, string constants, `if`/`else if`/`else`, `range .Messages`, `eq`, `ne`, `{{-`/`-}}` trimming; anything
beyond it is an InputError, never a guess. Facts: pkg.go.dev/text/template; Ollama's template.go (`collate`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ta_schemas import InputError

_ACTION = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')


@dataclass
class _Node:
    """`text`, `value`, `if` or `range`."""

    kind: str
    words: list[str] = field(default_factory=list)
    text: str = ""
    body: list["_Node"] = field(default_factory=list)
    otherwise: list["_Node"] = field(default_factory=list)


def render_go(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    """What Ollama sends to the model for `messages`. Raises InputError for what is beyond the subset.

    As Ollama does: `.System` is all system messages joined by an empty line, neighbours of one role are one
    message, joined likewise.
    """
    collated: list[dict[str, str]] = []
    for message in messages:
        if collated and collated[-1]["role"] == message["role"]:
            collated[-1]["content"] += "\n\n" + message["content"]
        else:
            collated.append({"role": message["role"], "content": message["content"]})
    data = {
        "System": "\n\n".join(m["content"] for m in messages if m["role"] == "system"),
        "Messages": [{"Role": m["role"], "Content": m["content"]} for m in collated],
    }
    nodes, stopped = _parse(iter(_pieces(template)))
    if stopped:
        raise InputError(f"TEMPLATE: {{{{ {' '.join(stopped)} }}}} without its begin")
    return _run(nodes, data)


def _pieces(template: str) -> Iterator[str | list[str]]:
    """Texts and the words of actions, in turn."""
    at, trim = 0, False
    for action in _ACTION.finditer(template):
        text = template[at : action.start()]
        text = text.lstrip() if trim else text
        yield text.rstrip() if action[1] else text
        yield _WORD.findall(action[2])
        at, trim = action.end(), bool(action[3])
    rest = template[at:]
    if "{{" in rest:
        raise InputError(f"TEMPLATE: an action is not closed: {rest[:40]!r}")
    yield rest.lstrip() if trim else rest


def _parse(pieces: Iterator[str | list[str]]) -> tuple[list[_Node], list[str]]:
    """Nodes up to an `else` or `end`, and its words."""
    nodes: list[_Node] = []
    for piece in pieces:
        if isinstance(piece, str):
            nodes.append(_Node("text", text=piece))
        elif piece[:1] in (["else"], ["end"]):
            return nodes, piece
        elif piece[:1] in (["if"], ["range"]):
            nodes.append(_block(piece, pieces))
        else:
            nodes.append(_Node("value", words=piece))
    return nodes, []


def _block(words: list[str], pieces: Iterator[str | list[str]]) -> _Node:
    body, stopped = _parse(pieces)
    node = _Node(words[0], words=words[1:], body=body)
    if stopped[:2] == ["else", "if"]:
        node.otherwise = [_block(stopped[1:], pieces)]
    elif stopped == ["else"]:
        node.otherwise, stopped = _parse(pieces)
        if stopped != ["end"]:
            raise InputError(f"TEMPLATE: {{{{ {' '.join(words)} }}}} is not closed by {{{{ end }}}}")
    elif stopped != ["end"]:
        raise InputError(f"TEMPLATE: {{{{ {' '.join(words)} }}}} is not closed by {{{{ end }}}}")
    return node


def _run(nodes: Sequence[_Node], data: Mapping[str, Any]) -> str:
    said = []
    for node in nodes:
        if node.kind == "text":
            said.append(node.text)
        elif node.kind == "value":
            said.append(str(_value(node.words, data)))
        elif node.kind == "if":
            said.append(_run(node.body if _value(node.words, data) else node.otherwise, data))
        else:
            said.extend(_run(node.body, item) for item in _value(node.words, data))
    return "".join(said)


def _value(words: list[str], data: Mapping[str, Any]) -> Any:
    if words[:1] == ["eq"] and len(words) == 3:
        return _value(words[1:2], data) == _value(words[2:], data)
    if words[:1] == ["ne"] and len(words) == 3:
        return _value(words[1:2], data) != _value(words[2:], data)
    if len(words) == 1 and words[0].startswith('"'):
        return words[0][1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
    if len(words) == 1 and words[0].startswith(".") and words[0][1:] in data:
        return data[words[0][1:]]
    raise InputError(f"TEMPLATE: {{{{ {' '.join(words)} }}}} is not understood here")
