"""A script as the commands it would run: quotes, variables, pipes and substitutions resolved as far as
text can.

Parsed with tree-sitter-bash, which gives a tree for broken scripts too.
"""

import re
import threading
from dataclasses import dataclass, field, replace
from typing import Any

from ta_safety.detectors.shell.words import BLANK, UNKNOWN, ansi_c, braces, unescaped

Node = Any
"""tree_sitter.Node"""

MAX_BYTES = 10_000
"""A longer script is cut: nobody reads it before running it, and hostile text costs seconds. `check` says
so."""

# One character for one, so that spans stay true. A reader types back what a renderer made of dashes and quotes;
# on some of the rest tree-sitter-bash 0.25 crashes (its issue 337).
_ASCII = {ord(c): "-" for c in "‐‑‒–—−"} | {ord(c): "'" for c in "‘’"} | {ord(c): '"' for c in "“”"}
_ASCII |= {ord(c): " " for c in "\u00a0\u2002\u2003\u2009\u202f\u3000\ufeff\u200b"}
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_BRACED_COMMAND = re.compile(r"(?:^|(?<=[;&|(\n]))\s*\{[^{}\s,;]+(?:,[^{}\s,;]*)+\}")
"""`{rm,-rf,/}` in command position, which the grammar takes for an error."""


@dataclass(slots=True)
class Redirect:
    """`> /etc/passwd`: operator and resolved target."""

    operator: str
    target: str


@dataclass(slots=True)
class Command:
    """A simple command; `argv[0]` is the program without its folder."""

    argv: list[str]
    start: int
    end: int
    redirects: list[Redirect] = field(default_factory=list)
    upstream: list["Command"] = field(default_factory=list)
    """The commands whose output it reads, in pipe order."""
    stdin: str | None = None
    """The literal text it reads from a here-document or here-string."""
    folder: str = ""
    """Where an earlier `cd` of the same script went."""
    substituted: list[str] = field(default_factory=list)
    """The command lines inside its `$(…)` and `<(…)`."""

    @property
    def fetches(self) -> bool:
        """Whether a substitution in it downloads something."""
        return any(line.split(" ", 1)[0] in ("curl", "wget", "fetch", "lynx") for line in self.substituted)

    def running(self, argv: list[str]) -> "Command":
        """The command that this one starts, with the same input and output."""
        return replace(self, argv=argv)


@dataclass(slots=True)
class Script:
    """What a text would run."""

    commands: list[Command] = field(default_factory=list)
    functions: list[tuple[str, str, int, int]] = field(default_factory=list)
    """Name, body text, start and end of each function definition."""
    complete: bool = True
    """False where the text is nested too deeply to be read whole."""
    loops: list[tuple[str, int, int]] = field(default_factory=list)
    """Text, start and end of each `while`, `until` and `for`."""


def parse(text: str) -> Script:
    """The script of at most MAX_BYTES characters; what lies beyond is left out."""
    ascii_text = _CONTROL.sub(" ", _NOT_ASCII.sub("_", text[:MAX_BYTES].translate(_ASCII)))
    ascii_text = _BRACED_COMMAND.sub(lambda m: re.sub("[{},]", " ", m[0]), ascii_text)
    walker = _Walker(ascii_text)
    try:
        walker.walk(_parser().parse(ascii_text.encode()).root_node)
    except RecursionError:  # a model that repeats "$(" until its token limit
        walker.script.complete = False
    return walker.script


_LOCAL = threading.local()


def _parser() -> Any:
    """A parser for each thread: one must not be used by two at once."""
    if not hasattr(_LOCAL, "parser"):
        import tree_sitter
        import tree_sitter_bash

        _LOCAL.parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))
    return _LOCAL.parser


class _Walker:
    def __init__(self, text: str) -> None:
        self.text = text
        self.script = Script()
        self.variables: dict[str, str] = {}
        self.folder = ""
        self.substituted: list[str] = []

    def walk(self, node: Node) -> list[Command]:
        """Record all commands below `node`; return those whose output is the node's own."""
        kind = node.type
        if kind in ("command", "unset_command", "declaration_command"):
            return [self._command(node)]
        if kind == "redirected_statement":
            return self._redirected(node)
        if kind == "pipeline":
            return self._pipeline(node)
        if kind == "variable_assignment":
            self._assign(node)
            return []
        if kind == "function_definition":
            name = node.child_by_field_name("name")
            body = node.child_by_field_name("body")
            if name is not None and body is not None:
                self.script.functions.append((self._raw(name), self._raw(body), node.start_byte, node.end_byte))
        if kind in ("while_statement", "for_statement", "c_style_for_statement"):
            self.script.loops.append((self._raw(node), node.start_byte, node.end_byte))
        found: list[Command] = []
        for child in node.children:
            if child.is_named:
                found += self.walk(child)
        return found

    def _command(self, node: Node) -> Command:
        command = Command([], node.start_byte, node.end_byte, folder=self.folder)
        outer, self.substituted = self.substituted, command.substituted
        for child in node.children:
            kind = child.type
            if kind == "variable_assignment":
                self._assign(child)
                command.argv += [self._raw(child)] if command.argv else []
            elif child.start_byte == node.start_byte and not child.is_named:  # export, declare, unset
                command.argv.append(kind)
            elif kind == "herestring_redirect":
                command.stdin = "".join(self.resolve(part) for part in child.children if part.is_named)
            elif kind in ("file_redirect", "heredoc_redirect"):
                self._redirect(child, [command])
            elif kind == "command_name":
                command.argv += self._fields(child.children[0] if child.children else child)
            elif child.is_named or kind == "word":
                command.argv += self._fields(child)
        self.substituted = outer
        if command.argv:
            program = command.argv[0]
            command.argv[0] = program.rsplit("/", 1)[-1] if len(program) > 1 else program
            if command.argv[0] in ("cd", "pushd") and len(command.argv) > 1:
                self.folder = command.argv[-1]
        self.script.commands.append(command)
        return command

    def _redirected(self, node: Node) -> list[Command]:
        found: list[Command] = []
        redirects = []
        for child in node.children:
            if child.type.endswith("_redirect"):
                redirects.append(child)
            elif child.is_named:
                found += self.walk(child)
        if not found:  # `> file` alone empties the file
            found = [Command([], node.start_byte, node.end_byte, folder=self.folder)]
            self.script.commands += found
        for redirect in redirects:
            self._redirect(redirect, found)
        return found

    def _redirect(self, node: Node, commands: list[Command]) -> None:
        if node.type == "heredoc_redirect":
            body = next((child for child in node.children if child.type == "heredoc_body"), None)
            readers = list(commands)
            for child in node.children:  # `cat <<EOF | sh` hangs the pipe below the redirect
                if child.type == "pipeline":
                    readers += self._downstream(child, commands)
                elif child.type == "file_redirect":
                    self._redirect(child, commands)
            for command in commands:
                command.stdin = self._raw(body) if body is not None else ""
            return
        if node.type == "herestring_redirect":
            for command in commands:
                command.stdin = "".join(self.resolve(part) for part in node.children if part.is_named)
            return
        operator = next((c.type for c in node.children if not c.is_named), ">")
        # tree-sitter hangs the arguments behind `2>/dev/null` below the redirect too.
        words = [
            w
            for c in node.children
            if c.is_named and c.type not in ("file_descriptor", "ERROR")
            for w in self._fields(c)
        ]
        for command in commands:
            command.redirects.append(Redirect(operator, words[0] if words else ""))
            command.argv += words[1:]

    def _downstream(self, node: Node, upstream: list[Command]) -> list[Command]:
        found: list[Command] = []
        for child in node.children:
            if child.is_named:
                for command in self.walk(child):
                    command.upstream = [*upstream, *found]
                    found.append(command)
        return found

    def _pipeline(self, node: Node) -> list[Command]:
        return self._downstream(node, [])[-1:]

    def _assign(self, node: Node) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is not None and value is not None:
            self.variables[self._raw(name)] = self.resolve(value).replace(BLANK, " ")

    def _fields(self, node: Node) -> list[str]:
        """The words bash would make of one argument: braces expanded, unquoted expansions split."""
        raw = self._raw(node)
        word = self.resolve(node)
        words = braces(word) if "{" in raw and "," in raw and node.type != "raw_string" else [word]
        return [
            part
            for word in words
            for part in (word.split(BLANK) if BLANK in word else [word])
            if part or not word
        ]

    def resolve(self, node: Node, *, quoted: bool = False) -> str:
        """The text of a word; BLANK where an expansion splits it, UNKNOWN for what only a run would tell."""
        kind = node.type
        raw = self._raw(node)
        if kind == "raw_string":
            return raw[1:-1]
        if kind == "ansi_c_string":
            return ansi_c(raw[2:-1])
        if kind in ("string", "translated_string", "heredoc_body"):
            return self._string(node)
        if kind in ("simple_expansion", "expansion"):
            return self._expansion(raw, quoted=quoted)
        if kind == "command_substitution":
            text = self._substitution(node)
            return text if quoted else text.replace(" ", BLANK)
        if kind == "process_substitution":
            inner = self._substitution(node)
            return inner if inner != UNKNOWN else f"{UNKNOWN}<"
        if kind in ("concatenation", "command_name", "array"):
            return "".join(self.resolve(child, quoted=quoted) for child in node.children)
        return unescaped(raw)

    def _string(self, node: Node) -> str:
        """Double quotes: the tree leaves blanks between expansions out, so the source fills the gaps."""
        parts: list[str] = []
        at, end = node.start_byte + 1, node.end_byte - 1
        for child in node.children:
            if child.type in ("simple_expansion", "expansion", "command_substitution"):
                parts += [self.text[at : child.start_byte], self.resolve(child, quoted=True)]
                at = child.end_byte
        parts.append(self.text[at:end])
        return re.sub(r'\\([$`"\\\n])', r"\1", "".join(parts))

    def _expansion(self, raw: str, *, quoted: bool) -> str:
        name = re.match(r"\$\{?!?(\w+)", raw)
        if name is None:
            return "" if raw in ("$@", "$*", "${@}", "${*}") else raw
        if name[1] == "IFS":
            return BLANK
        if name[1] == "HOME":
            return "~"
        value = self.variables.get(name[1])
        cut = re.fullmatch(r"\$\{\w+:(\d+):(\d+)\}", raw)
        if value is not None and cut:
            value = value[int(cut[1]) : int(cut[1]) + int(cut[2])]
        if value is None:
            default = re.fullmatch(r"\$\{\w+:?[-=+]([^}]*)\}", raw)
            value = default[1] if default else None
        if value is None:
            return raw
        return value if quoted else value.replace(" ", BLANK)

    def _substitution(self, node: Node) -> str:
        """What the inner commands print, where that can be told without running them."""
        from ta_safety.detectors.shell.payloads import printed

        first = len(self.script.commands)
        last = [command for child in node.children if child.is_named for command in self.walk(child)]
        self.substituted += [" ".join(command.argv) for command in self.script.commands[first:]]
        text = printed(last[-1]) if last else None
        return UNKNOWN if text is None else text.rstrip("\n")

    def _raw(self, node: Node) -> str:
        return self.text[node.start_byte : node.end_byte]
