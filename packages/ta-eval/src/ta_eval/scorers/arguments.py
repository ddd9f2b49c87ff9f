"""One simple command in canonical form: flags as a multiset, positional arguments in order, values with
their flags.

`scorers.options` says which flags take a value. For what it does not list there are two readings: no flag
takes the next word, or each does. Two commands are equal if they are under either.
"""

import re
from collections.abc import Callable, Sequence

from ta_eval.scorers.find import canonical_find
from ta_eval.scorers.options import SUBCOMMANDS, WHOLE, Options, options_of

Canonical = tuple[object, ...]
Parse = Callable[[str], Canonical | None]

ACTIVE = "\0"
"""Stands before a character or expansion that the shell acts on (an unquoted `*`, `$x` that may be split)."""
QUOTED = "\1"
"""Stands before an expansion inside double quotes."""

NOT_PATHS = frozenset(
    {"echo", "printf", "tr", "date", "expr", "curl", "wget", "test", "awk", "gawk", "sed", "perl", "jq"}
)
PATTERN_FIRST = frozenset({"grep", "zgrep", "rg"})
RUNS_TEXT = frozenset({"watch", "ssh"})
"""Their remaining words are joined and given to a shell: `watch 'df -h'` is `watch df -h`."""
SHELLS = frozenset({"bash", "sh", "zsh", "dash"})
RENAMED = {"egrep": ["grep", "-E"], "fgrep": ["grep", "-F"]}
SIGNALS = {"1": "HUP", "2": "INT", "3": "QUIT", "9": "KILL", "10": "USR1", "12": "USR2", "15": "TERM"}
SIGNALS |= {"18": "CONT", "19": "STOP"}
SIGNALLERS = frozenset({"kill", "killall", "pkill", "timeout"})
IP_OBJECTS = {
    "a": "addr",
    "ad": "addr",
    "address": "addr",
    "l": "link",
    "li": "link",
    "r": "route",
    "ro": "route",
}
IP_OBJECTS |= {"n": "neigh", "neighbour": "neigh", "neighbor": "neigh", "ru": "rule"}
SERVICE_TOOLS = frozenset({"systemctl", "journalctl"})


def canonical_command(words: Sequence[str], *, greedy: bool, parse: Parse) -> Canonical:
    """The form two equal commands share; `greedy`: unlisted flags take the next word."""
    words = list(words)
    while len(words) > 1 and words[0] == "sudo" and not words[1].startswith("-"):
        words = words[1:]
    if not words:
        return ()
    words = RENAMED.get(words[0], [words[0]]) + words[1:]
    name, rest = words[0], words[1:]
    if name == "find":
        return canonical_find(
            rest,
            path=_path,
            command=lambda inner: canonical_command(inner, greedy=greedy, parse=parse),
        )
    return _Reader(name, _rewrite(name, rest), greedy=greedy, parse=parse).read()


def _rewrite(name: str, words: list[str]) -> list[str]:
    """Spellings of single tools that are the same to the tool."""
    if not words:
        return words
    if name == "tar" and re.fullmatch(r"[A-Za-z]+", words[0]):
        return ["-" + words[0], *words[1:]]
    if name == "ps" and re.fullmatch(r"[a-z]+", words[0]):
        return ["".join(sorted(words[0])), *words[1:]]
    if name == "dd":
        return sorted(words)
    if name in ("kill", "killall", "pkill"):
        return [f"-s{word[1:]}" if word[:1] == "-" and _signal(word[1:]) else word for word in words]
    if name == "ip":
        return _ip(words)
    return words


def _ip(words: list[str]) -> list[str]:
    at = next((i for i, word in enumerate(words) if not word.startswith("-")), None)
    if at is None:
        return words
    flags = ["-br" if word == "-brief" else word for word in words[:at]]
    what = IP_OBJECTS.get(words[at], words[at])
    verb, *rest = words[at + 1 :] or ["show"]
    return [*flags, what, "show" if verb in ("list", "ls", "lst", "sh", "s") else verb, *rest]


class _Reader:
    """Reads words as getopt does, options and positional arguments mixed."""

    def __init__(self, name: str, words: list[str], *, greedy: bool, parse: Parse) -> None:
        self.name = name
        self.words = words
        self.greedy = greedy
        self.parse = parse
        self.known = options_of(name)
        self.path = name
        self.flags: list[tuple[str, str]] = []
        self.positional: list[str] = []
        self.unsure: list[tuple[str, str]] = []
        """Flags of which nobody knows whether the word after them is theirs, with that word."""

    def read(self) -> Canonical:
        inner: Canonical = ()
        while self.words:
            if self._command_follows():
                inner = self._inner_command()
                break
            word = self.words.pop(0)
            if word == "--":
                self.positional += self.words
                self.words = []
            elif word.startswith("--") and len(word) > 2:
                self._long(word)
            elif word.startswith("-") and len(word) > 1 and self.name != "echo":
                self._short(word[1:])
            else:
                self._add_positional(word)
        pairs = sorted(self.unsure) if len(self.unsure) > 1 else []
        positional = self._normal_positional()
        return (self.name, tuple(sorted(self.flags)), tuple(positional), tuple(pairs), inner)

    def _add_positional(self, word: str) -> None:
        self.positional.append(word)
        if self.name in SUBCOMMANDS:
            path = f"{self.path} {word}"
            options = options_of(path)
            first = self.path == self.name and len(self.positional) == 1
            if options is not None or first:
                self.path, self.known = path, options

    def _long(self, word: str) -> None:
        name, has_value, value = word.partition("=")
        known = self.known or Options()
        flag = known.same.get(name, name)
        if has_value:
            self._flag(flag, value)
        elif flag in known.takes_value and self.words:
            self._flag(flag, self.words.pop(0))
        elif flag in known.listed:
            self._flag(flag)
        else:
            self._unlisted(flag)

    def _short(self, letters: str) -> None:
        known = self.known
        if known is not None and known.number and letters.isdigit():
            self._flag(known.number, letters)
            return
        if self.name in WHOLE or not re.match(r"[A-Za-z0-9]", letters):
            self._unlisted(letters)
            return
        if known is None:
            self._unknown_cluster(letters)
            return
        while letters:
            letter, letters = known.same.get(letters[0], letters[0]), letters[1:]
            if letter in known.takes_value:
                value = letters or (self.words.pop(0) if self.words else "")
                self._flag(letter, value.removeprefix("=") if letters else value)
                return
            if letter in known.optional_value:
                self._flag(letter, letters)
                return
            self._flag(letter)

    def _unknown_cluster(self, letters: str) -> None:
        match = re.fullmatch(r"([A-Za-z])(\d+)", letters)
        if match:
            self._flag(match[1], match[2])
        elif re.fullmatch(r"[A-Za-z]", letters) and self.words and re.fullmatch(r"\d+", self.words[0]):
            self._flag(letters, self.words.pop(0))
        elif re.fullmatch(r"[A-Za-z]+", letters):
            for letter in letters[:-1]:
                self._flag(letter)
            self._unlisted(letters[-1])
        else:
            self._unlisted(letters)

    def _unlisted(self, flag: str) -> None:
        follows = self.words[0] if self.words and not self.words[0].startswith("-") else ""
        if follows and self.greedy:
            self._flag(flag, self.words.pop(0))
            return
        self._flag(flag)
        if follows:
            run = "".join(sorted(name for name, _ in self.flags)) if not self.unsure else flag
            self.unsure.append((run, follows))

    def _flag(self, flag: str, value: str = "") -> None:
        if value and flag == "s" and self.name in SIGNALLERS:
            value = _signal(value) or value
        if value and flag == "c" and self.name in SHELLS:
            value = repr(self.parse(value))
        if flag == "m" and self.name == "mkdir":
            value = _octal(value)
        if self.name not in NOT_PATHS | PATTERN_FIRST:
            value = _path(_unit(self.name, value))
        level = "" if self.path == self.name else self.path
        self.flags.append((f"{level}:{flag}", value))

    def _command_follows(self) -> bool:
        """Whether the positional arguments before an inner command are all read."""
        if self.known is None or self.known.command_after is None:
            return False
        before = self.known.command_after + self.path.count(" ")
        word = self.words[0]
        if len(self.positional) < before or self._is_setting(word):
            return False
        # docker takes no more options of its own after the image; ssh does after the host.
        ends_options = self.known.command_after > 0 and self.name not in RUNS_TEXT
        return ends_options or not word.startswith("-")

    def _is_setting(self, word: str) -> bool:
        return self.name == "env" and "=" in word

    def _inner_command(self) -> Canonical:
        words, self.words = self.words, []
        if self.name in RUNS_TEXT and not any(ACTIVE in word or QUOTED in word for word in words):
            parsed = self.parse(" ".join(words))
            return ("text", *words) if parsed is None else parsed
        return (canonical_command(words, greedy=self.greedy, parse=self.parse),)

    def _normal_positional(self) -> list[str]:
        words = [_unit(self.name, word) for word in self.positional]
        if self.name == "chmod":
            words[:1] = map(_octal, words[:1])
        if self.name in ("awk", "gawk"):
            return [_awk(word) for word in words]
        if self.name in NOT_PATHS:
            return words
        if self.name == "rsync":
            # A slash after an rsync source means "its contents"; after the destination it means nothing.
            return [*words[:-1], *map(_path, words[-1:])]
        first = 1 if self.name in PATTERN_FIRST else 0
        return words[:first] + [_path(word) for word in words[first:]]


def _path(word: str) -> str:
    """`./x` is `x`, `x/` is `x`; a slash after a pattern (`*/`) selects directories and stays."""
    if "://" in word:
        return word
    while word.startswith("./") and len(word) > 2:
        word = word[2:].lstrip("/") or "."
    while len(word) > 1 and word.endswith("/") and word[-2] not in "*?]}":
        word = word[:-1]
    return word


def _unit(name: str, word: str) -> str:
    return word.removesuffix(".service") if name in SERVICE_TOOLS else word


def _octal(mode: str) -> str:
    """`0755` is `755`."""
    return mode[1:] if re.fullmatch(r"0[0-7]{3}", mode) else mode


def _signal(word: str) -> str:
    """`9`, `KILL` and `SIGKILL` are one; empty where it is no signal."""
    bare = word.removeprefix("SIG")
    return SIGNALS.get(bare, bare if bare in SIGNALS.values() or bare.isdigit() else "")


def _awk(program: str) -> str:
    """Blanks beside braces, commas and semicolons mean nothing, unless in a string or pattern."""
    if '"' in program or "/" in program:
        return program
    return re.sub(r"\s*([{};,])\s*", r"\1", program).strip()
