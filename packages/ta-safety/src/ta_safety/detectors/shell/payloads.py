"""Text that becomes a command: what `echo`, `base64 -d`, `xxd -r`, `rev` or `tr` would print, told without
running."""

import base64
import binascii
import re
from typing import TYPE_CHECKING

from ta_safety.detectors.shell.words import BLANK, UNKNOWN, ansi_c

if TYPE_CHECKING:
    from ta_safety.detectors.shell.script import Command

_EXECUTES = re.compile(
    r"system|popen|subprocess|exec|spawn|child_process|shell_exec|passthru|proc_open|`|%x|\bqx\b|"
    r"b64decode|fromhex|\bos\.|run_command|getoutput"
)
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|`([^`]*)`|(?:%x|qx)[({\[]([^)}\]]*)[)}\]]")
_LIST = re.compile(r"[\[(]\s*((?:(?:'[^']*'|\"[^\"]*\")\s*,?\s*){2,})[\])]")


def printed(command: "Command") -> str | None:
    """The standard output of a command, or None where it depends on the machine."""
    argv = command.argv
    if not argv:
        return None
    name, arguments = argv[0], argv[1:]
    if name in ("echo", "print"):
        words = [a for a in arguments if not re.fullmatch(r"-[neE]+", a)]
        text = " ".join(words)
        return None if UNKNOWN in text else ansi_c(text)
    if name == "printf":
        return _printf([a for a in arguments if a != "--"])
    entering = read_text(command)
    if entering is None:
        return None
    if name in ("cat", "tee", "sponge") or (name == "tr" and "-d" in arguments and len(arguments) == 2):
        return "".join(c for c in entering if c not in arguments[1]) if name == "tr" else entering
    if name == "rev":
        return "\n".join(line[::-1] for line in entering.splitlines())
    if name == "tr" and len(arguments) == 2:
        return _translated(entering, *arguments)
    if name in ("base64", "base32") and any(re.fullmatch(r"-\w*[dD]\w*|--decode", a) for a in arguments):
        return decoded(entering, name)
    if name == "openssl" and "-d" in arguments:
        return decoded(entering, "base64")
    if name == "xxd" and any("r" in a for a in arguments if a.startswith("-")):
        return decoded(entering, "hex")
    return None


def read_text(command: "Command") -> str | None:
    """The literal text on a command's standard input, or None."""
    if command.stdin is not None:
        return None if UNKNOWN in command.stdin else command.stdin.replace(BLANK, " ")
    return printed(command.upstream[-1]) if command.upstream else None


def decoded(text: str, encoding: str) -> str | None:
    """base64, base32 or hex to text; None where it is none."""
    squeezed = "".join(text.split())
    try:
        if encoding == "hex":
            raw = bytes.fromhex(re.sub(r"\\?0?x", "", squeezed))
        elif encoding == "base32":
            raw = base64.b32decode(squeezed + "=" * (-len(squeezed) % 8))
        else:
            raw = base64.b64decode(squeezed + "=" * (-len(squeezed) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw.decode("utf-8", "replace")


def code_strings(code: str) -> list[str]:
    """Strings in Perl, Python, Ruby, PHP, Node or awk code that may be run as commands; lists joined to
    lines."""
    if not _EXECUTES.search(code):
        return []
    found = [
        " ".join("".join(groups) for groups in _STRING.findall(match[1])) for match in _LIST.finditer(code)
    ]
    for groups in _STRING.findall(code):
        text = ansi_c(next((group for group in groups if group), ""))
        found.append(text)
        if len(text) >= 8:
            found += [
                plain
                for kind in ("base64", "hex")
                if (plain := (decoded(text, kind) or "").strip()) and plain.isprintable()
            ]
    return [text for text in found if text.strip()]


def _printf(arguments: list[str]) -> str | None:
    if not arguments or any(UNKNOWN in a for a in arguments):
        return None
    pattern, values = ansi_c(arguments[0]), arguments[1:]
    if not values:
        return pattern.replace("%%", "%")
    holes = len(re.findall(r"%[sbdc]", pattern)) or 1
    out = ""
    for start in range(0, len(values), holes):
        part = iter(values[start : start + holes])
        out += re.sub(r"%[sbdc]", lambda _: ansi_c(next(part, "")), pattern)  # noqa: B023
    return out


def _translated(text: str, source: str, target: str) -> str:
    """`tr SET1 SET2` with ranges."""
    expand = [
        re.sub(r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))), s)
        for s in (source, target)
    ]
    one, other = expand
    if not one or not other:
        return text
    other = other.ljust(len(one), other[-1])
    return text.translate({ord(a): b for a, b in zip(one, other, strict=False)})
