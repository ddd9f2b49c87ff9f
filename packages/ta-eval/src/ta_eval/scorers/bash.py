"""Bash text to a canonical form in which equal commands are equal: parsed with tree-sitter-bash.

Pipelines and lists become flat sequences (tree-sitter nests `a | b && c` in more than one way), redirections
belong to the command they follow, and quotes disappear where they quote nothing.
"""

import functools
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ta_eval.scorers.arguments import ACTIVE, QUOTED, Canonical, canonical_command

# fmt: off
WORDS = frozenset({
    "word", "number", "raw_string", "string", "ansi_c_string", "translated_string", "concatenation",
    "simple_expansion", "expansion", "command_substitution", "process_substitution", "arithmetic_expansion",
    "brace_expression", "extglob_pattern", "regex", "variable_name", "test_operator",
})
# fmt: on
NO_BLANKS = frozenset(
    {"HOME", "USER", "PATH", "PWD", "OLDPWD", "SHELL", "HOSTNAME", "LOGNAME", "UID", "?", "$", "!", "#"}
)
"""Variables that hold no blanks in practice, so that `$HOME` is `"$HOME"`."""

NOT_ASCII = re.compile(r"[^\x00-\x7f]")
"""Spelled out before parsing: tree-sitter-bash 0.25 crashes on `{` before U+31860 (its issue 337)."""
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")

PARSING = threading.Lock()
"""A parser is used by one thread at a time."""

Node = Any
"""tree_sitter.Node"""


@dataclass
class _Command:
    """A command while its redirections are still being collected."""

    words: list[str] = field(default_factory=list)
    assignments: list[str] = field(default_factory=list)
    redirects: list[tuple[str, str, str]] = field(default_factory=list)
    compound: Canonical = ()


def canonical_forms(text: str) -> tuple[Canonical, Canonical] | None:
    """Both readings of a command (see `arguments`), or None where it does not parse or is empty."""
    if CONTROL.search(text):
        return None
    with PARSING:
        tree = _parser().parse(NOT_ASCII.sub(_spell_out, text).encode())
    if tree.root_node.has_error:
        return None
    try:
        forms = [_Canonicaliser(greedy=greedy).sequence(tree.root_node.children) for greedy in (False, True)]
    except RecursionError:  # a model that repeats "$(" until its token limit
        return None
    return (forms[0], forms[1]) if forms[0] else None


def _spell_out(match: re.Match[str]) -> str:
    return f"_u{ord(match[0]):x}_"


@functools.cache
def _parser() -> Any:
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


class _Canonicaliser:
    def __init__(self, *, greedy: bool) -> None:
        self.greedy = greedy

    def sequence(self, nodes: Iterable[Node]) -> Canonical:
        """Commands and the operators between them, flat; `;` and newlines are implied."""
        return tuple(self._close(part) for part in self._parts(nodes))

    def _parts(self, nodes: Iterable[Node]) -> list[_Command | str]:
        parts: list[_Command | str] = []
        for node in nodes:
            parts += self._statement(node)
        return parts

    def _statement(self, node: Node) -> list[_Command | str]:
        kind = node.type
        if kind in (";", "\n", "comment"):
            return []
        if kind == "|&":
            return [kind]
        if not node.is_named or kind in WORDS:
            return [_text(node) if not node.is_named else self.word(node)]
        if kind in ("pipeline", "list", "negated_command"):
            return _both_streams(self._parts(node.children))
        if kind == "redirected_statement":
            return self._redirected(node)
        if kind in ("command", "declaration_command", "unset_command"):
            return [self._simple(node)]
        if kind in ("variable_assignment", "variable_assignments"):
            nodes = [node] if kind == "variable_assignment" else node.children
            return [_Command(assignments=[self._assignment(child) for child in nodes])]
        if kind == "test_command" and node.children[0].type == "[":
            return [_Command(words=["test", *self._leaves(node)[1:-1]])]
        if kind == "test_command":
            return [_Command(compound=(kind, *self._leaves(node)))]
        return [_Command(compound=(kind, *self.sequence(node.children)))]

    def _redirected(self, node: Node) -> list[_Command | str]:
        """A redirection after `a | b` belongs to b; words after its target belong to the command."""
        redirects = [child for child in node.children if child.type.endswith("_redirect")]
        parts = self._parts(child for child in node.children if child not in redirects)
        if not parts or isinstance(parts[-1], str):
            parts.append(_Command())
        for redirect in redirects:
            command = next(part for part in reversed(parts) if isinstance(part, _Command))
            parts += self._redirect(command, redirect)
        return parts

    def _redirect(self, command: _Command, node: Node) -> list[_Command | str]:
        """Add a redirection to `command`; return what follows a here-document on its line."""
        if node.type == "heredoc_redirect":
            return self._heredoc(command, node)
        descriptor, operator, targets = "", "", []
        for child in node.children:
            if child.type == "file_descriptor":
                descriptor = _text(child)
            elif child.is_named:
                targets.append(self.word(child))
            else:
                operator = _text(child)
        target = targets[0] if targets else ""
        if operator in ("&>", "&>>") or (operator == ">&" and not descriptor and not _is_number(target)):
            command.redirects += [("1", operator.replace("&", ""), target), ("2", ">&", "1")]
        else:
            command.redirects.append((descriptor or ("0" if operator[:1] == "<" else "1"), operator, target))
        command.words += targets[1:]
        return []

    def _heredoc(self, command: _Command, node: Node) -> list[_Command | str]:
        parts: list[_Command | str] = []
        start = next((_text(child) for child in node.children if child.type == "heredoc_start"), "")
        for child in node.children:
            if child.type == "heredoc_body":
                operator = "<<raw" if start[:1] in "'\"\\" else "<<"
                command.redirects.append(("0", operator, _text(child)))
            elif child.type.endswith("_redirect"):
                parts += self._redirect(command, child)
            elif child.type == "file_descriptor" or child.type in (
                "heredoc_start",
                "heredoc_end",
                "<<",
                "<<-",
            ):
                continue
            else:
                parts += self._statement(child)
        return parts

    def _simple(self, node: Node) -> _Command:
        command = _Command()
        for child in node.children:
            if child.type == "variable_assignment" and node.type == "command":
                command.assignments.append(self._assignment(child))
            elif child.type == "variable_assignment":
                command.words.append(self._assignment(child))
            elif child.type == "command_name":
                command.words.append(self.word(child.children[0]) if child.children else _text(child))
            elif child.type.endswith("_redirect"):
                self._redirect(command, child)
            else:
                command.words.append(self.word(child))
        return command

    def _close(self, part: _Command | str) -> object:
        if isinstance(part, str):
            return part
        redirects = list(part.redirects)
        if not any("&" in operator for _, operator, _ in redirects):
            redirects.sort(key=lambda redirect: redirect[0])
        body = part.compound or canonical_command(part.words, greedy=self.greedy, parse=self._parse)
        return (tuple(part.assignments), body, tuple(redirects))

    def _parse(self, text: str) -> Canonical | None:
        forms = canonical_forms(text)
        return forms[self.greedy] if forms else None

    def _assignment(self, node: Node) -> str:
        """`A=value`; the value is neither split nor expanded to file names, so quotes do not matter."""
        parts = [self.word(child) if child.is_named else _text(child) for child in node.children]
        text = re.sub(f"{ACTIVE}(?=[$(`])", QUOTED, "".join(parts))
        return text.replace(ACTIVE, "")

    def _leaves(self, node: Node) -> list[str]:
        if node.type in WORDS or not node.children:
            return [self.word(node)]
        return [leaf for child in node.children for leaf in self._leaves(child)]

    def word(self, node: Node) -> str:
        """A word without its quotes; what the shell still acts on is marked (ACTIVE, QUOTED)."""
        text = self._piece(node)
        text = re.sub(r"^~(?=/|$)", f"{QUOTED}$HOME", text) if _text(node)[:1] == "~" else text
        braces = re.search(f"{ACTIVE}{{.*(,|\\.\\.).*{ACTIVE}}}", text, re.DOTALL)
        return text if braces else text.replace(f"{ACTIVE}{{", "{").replace(f"{ACTIVE}}}", "}")

    def _piece(self, node: Node) -> str:
        kind, text = node.type, _text(node)
        if kind == "concatenation":
            return "".join(self._piece(child) for child in node.children)
        if kind == "raw_string":
            return text[1:-1]
        if kind in ("string", "translated_string"):
            return self._double_quoted(node)
        if kind == "ansi_c_string":
            return _unescape_ansi(text[2:-1])
        if kind in ("simple_expansion", "expansion"):
            name = re.fullmatch(r"\$\{?(\w+|[?$!#@*-])\}?", text)
            plain = f"${name[1]}" if name else text
            return (QUOTED if name and name[1] in NO_BLANKS else ACTIVE) + plain
        if kind in ("command_substitution", "process_substitution"):
            sign = text[0].replace("`", "$")
            inner = [child for child in node.children if child.is_named or child.type in ("&&", "||", "|")]
            return f"{ACTIVE}{sign}({self.sequence(inner)!r})"
        if kind == "arithmetic_expansion":
            return QUOTED + re.sub(r"\s+", "", text)
        return _unquoted(text)

    def _double_quoted(self, node: Node) -> str:
        """Parts by byte offset: tree-sitter leaves blanks between two expansions without a node."""
        source, start = node.text, node.start_byte
        out, at = "", source.index(b'"') + 1
        for child in node.children:
            if child.type in ('"', '$"') or child.type == "string_content":
                continue
            out += _unescape_double(source[at : child.start_byte - start].decode())
            out += QUOTED + self._piece(child).lstrip(ACTIVE + QUOTED) if child.is_named else _text(child)
            at = child.end_byte - start
        return out + _unescape_double(source[at:-1].decode())


def _text(node: Node) -> str:
    return str(node.text.decode("utf-8", "replace"))


def _is_number(word: str) -> bool:
    return word.isdigit() or word == "-"


def _both_streams(parts: list[_Command | str]) -> list[_Command | str]:
    """`a |& b` is `a 2>&1 | b`."""
    for before, (at, part) in zip(parts, list(enumerate(parts))[1:], strict=False):
        if part == "|&" and isinstance(before, _Command):
            before.redirects.append(("2", ">&", "1"))
            parts[at] = "|"
    return parts


def _unquoted(text: str) -> str:
    """Escapes resolved (`a\\ b` is 'a b'); pattern characters and braces marked."""
    text = text.replace("\\\n", "")
    return re.sub(r"\\(.)|([*?\[\]{}])", lambda m: m[1] if m[1] else ACTIVE + m[2], text, flags=re.DOTALL)


def _unescape_double(text: str) -> str:
    return re.sub(r'\\([$`"\\])', r"\1", text.replace("\\\n", ""))


def _unescape_ansi(text: str) -> str:
    known = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
    return re.sub(r"\\(.)", lambda m: known.get(m[1], m[0]), text)
