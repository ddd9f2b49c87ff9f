"""Commands in an answer: check_answer("Run `rm -rf /` …") finds fenced blocks, code spans and prompt lines.

Prose is left alone: "never run rm -rf / because …" explains. A code span in a sentence that warns against
it counts as explained, too.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ta_safety.detectors.shell.check import Located, ShellVerdict, check_command
from ta_safety.detectors.shell.rules.finding import LEVELS

FENCE = re.compile(
    r"^[ \t]*(?P<mark>```+|~~~+)[ \t]*(?P<tag>[^\n`]*)\n(?P<body>.*?)(?:^[ \t]*(?P<close>(?P=mark))|\Z)",
    re.S | re.M,
)
_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)([^`\n]{2,2000}?)\1(?!`)")
_PROMPT = re.compile(r"^[ \t]*(?:[$#]|[\w-]+@[\w-]+:\S*[$#])[ \t]+(\S[^\n]*)$", re.M)
_BARE = re.compile(
    r"^[ \t]*((?:sudo\s+)?(?:rm|dd|mkfs\S*|shred|wipefs|chmod|chown|curl|wget|bash|sh|nc|"
    r"python3?|perl|eval|kill|find|mv|echo|cat|:\(\)|>)\s[^\n]*|:\(\)\s*\{[^\n]*)$",
    re.M,
)
_SHELL_TAGS = {"", "bash", "sh", "shell", "zsh", "console", "shell-session", "terminal", "text", "fish", "ksh"}
_CODE_TAGS = {"python": "python3 -c", "py": "python3 -c", "perl": "perl -e", "ruby": "ruby -e", "php": "php -r"}
_WARNS = re.compile(
    r"\b(?:never|don'?t|do not|avoid|must not|should not|shouldn'?t|dangerous|beware|"
    r"would (?:delete|destroy|erase|wipe))\b",
    re.IGNORECASE,
)


class Snippet(NamedTuple):
    """A piece of an answer that a reader may run; `start` is where it stands."""

    text: str
    start: int
    mentioned: bool = False
    """Stands inside a sentence that warns against it."""


def snippets(answer: str) -> Iterator[Snippet]:
    """The commands of an answer: fenced blocks, code spans, lines behind a prompt, lines that are a command."""
    rest = list(answer)
    for fence in FENCE.finditer(answer):
        tag = fence["tag"].strip().lower().partition(" ")[0]
        if tag in _SHELL_TAGS:
            yield Snippet(re.sub(r"(?m)^([ \t]*)[$#] ", r"\1  ", fence["body"]), fence.start("body"))
        elif tag in _CODE_TAGS:
            code = fence["body"].replace("'", '"')
            yield Snippet(f"{_CODE_TAGS[tag]} '{code}'", fence.start("body") - len(_CODE_TAGS[tag]) - 2)
        rest[fence.start() : fence.end()] = "\n" * (fence.end() - fence.start())
    prose = "".join(rest)
    for span in _SPAN.finditer(prose):
        sentence = prose[max(0, span.start() - 120) : span.start()].rsplit("\n", 1)[-1]
        sentence = re.split(r"[.!?]\s", sentence)[-1] + prose[span.end() : span.end() + 60].split("\n", 1)[0]
        yield Snippet(span[2], span.start(2), bool(_WARNS.search(sentence)))
    for pattern in (_PROMPT, _BARE):
        for line in pattern.finditer(prose):
            yield Snippet(line[1], line.start(1))


def check_answer(answer: str) -> ShellVerdict:
    """The worst level over all commands of an answer; spans are in the answer's characters."""
    found: list[Located] = []
    for snippet in snippets(answer):
        for finding, start, end in check_command(snippet.text).findings:
            if snippet.mentioned:
                continue
            located = Located(finding, max(0, snippet.start + start), min(len(answer), snippet.start + end))
            if located not in found:
                found.append(located)
    found.sort(key=lambda located: -LEVELS.index(located.finding.level))
    return ShellVerdict(found[0].finding.level if found else "allow", found)
