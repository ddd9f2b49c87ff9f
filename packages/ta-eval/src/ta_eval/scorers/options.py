"""What the options of common commands mean, read from `options.txt` (its head describes the format).

Without it, `cut -d 1 -f 2` could not be told from `cut -f 1 -d 2`.
"""

import functools
import re
from dataclasses import dataclass, field
from importlib.resources import files

# fmt: off
WHOLE = frozenset({
    "ip", "openssl", "java", "javac", "ffmpeg", "ffprobe", "convert", "magick", "gcc", "g++", "clang", "go",
    "terraform", "keytool", "xrandr", "xset", "qemu-img", "xclip", "setxkbmap", "iwconfig", "tc", "bridge",
})
"""Commands whose single-dash words are one option each (`ip -br`, `openssl -newkey`), never a cluster."""
# fmt: on

SUBCOMMANDS = frozenset({"git", "docker"})
"""Commands whose first positional argument brings its own options."""


@dataclass
class Options:
    """What is known of one command's options; flags are named by letter, or `--long` where there is none."""

    takes_value: set[str] = field(default_factory=set)
    optional_value: set[str] = field(default_factory=set)
    same: dict[str, str] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    number: str = ""
    command_after: int | None = None


@functools.cache
def options_of(command: str) -> Options | None:
    """The options of `command` (`git log` for a subcommand), or None where the table has no entry."""
    table = _table()
    return _read(table[command]) if command in table else None


@functools.cache
def _table() -> dict[str, str]:
    text = files("ta_eval.scorers").joinpath("options.txt").read_text(encoding="utf-8")
    lines = re.sub(r"\n[ ]+", " ", text).splitlines()
    entries = (line.partition(":") for line in lines if line and not line.startswith("#"))
    table = {command: tokens for command, _, tokens in entries}
    return {
        command: table[tokens.strip()[1:]] if tokens.strip().startswith("=") else tokens
        for command, tokens in table.items()
    }


def _read(entry: str) -> Options:
    options = Options()
    for token in entry.split():
        if token[0] == "#":
            options.number = token[1:]
        elif token[0] == "!":
            options.command_after = int(token[1:])
        elif ">" in token:
            name, _, target = token.partition(">")
            options.same[name] = target
            options.listed.add(target)
        else:
            match = re.fullmatch(r"(\w?)([:.?])([\w-]*)", token)
            if not match:
                raise ValueError(f"options.txt: {token!r} is no option")
            short, sort, long = match.groups()
            name = short or f"--{long}"
            options.listed.add(name)
            if long:
                options.same[f"--{long}"] = name
            if sort == ":":
                options.takes_value.add(name)
            elif sort == "?":
                options.optional_value.add(name)
    return options
