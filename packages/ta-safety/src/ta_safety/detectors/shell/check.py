"""Is a command dangerous? check_command("sudo rm -rf /").level == "block"

Three levels: `block` for what nothing brings back or what hands the machine away, `warn` for what is legitimate
and easily regretted, `allow` for the rest.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ta_safety.detectors.shell.rules import RULES
from ta_safety.detectors.shell.rules.finding import LEVELS, Finding, Level
from ta_safety.detectors.shell.script import MAX_BYTES, Command, Script, parse
from ta_safety.detectors.shell.wrappers import inner

MAX_DEPTH = 8
"""`bash -c "bash -c …"`: nobody writes more than three by hand."""

MAX_COMMANDS = 400
"""What one text may unfold to, so that a hostile one cannot keep the guard busy."""

_BOMB = re.compile(r"(?:function)?([\w:.]+)\(?\)?\{([^}]*)\}")


class Located(NamedTuple):
    """A finding and where it stands, in characters."""

    finding: Finding
    start: int
    end: int


class ShellVerdict(NamedTuple):
    """The worst level, and everything found, worst first."""

    level: Level
    findings: list[Located]

    @property
    def reason(self) -> str:
        """The worst finding's sentence, or an empty string."""
        return self.findings[0].finding.reason if self.findings else ""


def check_command(text: str) -> ShellVerdict:
    """Check one command line or script."""
    found: list[Located] = []
    budget = [MAX_COMMANDS]
    for finding, start, end in _script(text, 0, budget):
        if all((finding.rule, start) != (other.finding.rule, other.start) for other in found):
            found.append(Located(finding, start, end))
    if len(text) > MAX_BYTES or budget[0] <= 0:
        reason = "too long or too deeply nested to be checked whole: do not run it unread"
        found.append(Located(Finding("unchecked", "warn", reason), 0, len(text)))
    found.sort(key=lambda located: -LEVELS.index(located.finding.level))
    return ShellVerdict(found[0].finding.level if found else "allow", found)


def _script(text: str, depth: int, budget: list[int]) -> Iterator[tuple[Finding, int, int]]:
    script = parse(text)
    if not script.complete:
        budget[0] = 0
    yield from _bombs(script, text)
    for command in script.commands:
        if command.argv or command.redirects:
            for finding in _command(command, depth, budget):
                yield finding, command.start, command.end


def _command(command: Command, depth: int, budget: list[int]) -> Iterator[Finding]:
    budget[0] -= 1
    if budget[0] <= 0 or depth > MAX_DEPTH:
        budget[0] = min(budget[0], 0)
        return
    for rule in RULES:
        yield from rule(command)
    started = inner(command)
    for vector in started.vectors:
        if vector:
            program = vector[0].rsplit("/", 1)[-1]
            yield from _command(command.running([program, *vector[1:]]), depth + 1, budget)
    for text in started.scripts:
        for finding, _, _ in _script(text, depth + 1, budget):
            yield finding


def _bombs(script: Script, text: str) -> Iterator[tuple[Finding, int, int]]:
    """A function that starts itself twice; a loop that starts its own script, or jobs without end."""
    reason = "starts processes without end until the machine hangs"
    for name, body, start, end in script.functions:
        calls = re.findall(rf"(?<![\w.]){re.escape(name)}(?![\w.])", body)
        if len(calls) >= 2 and ("|" in body or "&" in body):
            yield Finding("fork-bomb", "block", reason), start, end
    squeezed = "".join(text[:MAX_BYTES].split())
    for match in _BOMB.finditer(squeezed) if not script.functions and ("()" in squeezed) else ():
        if match[2].count(match[1]) >= 2 and "|" in match[2]:
            yield Finding("fork-bomb", "block", reason), 0, len(text)
    if re.search(r"\$0\s*[&|]\s*\$0\s*&", text):
        yield Finding("fork-bomb", "block", reason), 0, len(text)
    for loop, start, end in script.loops:
        endless = re.match(
            r"(?:while\s+(?:true|:|\[\s*1\s*\]|1|\(\(\s*1\s*\)\))|for\s*\(\(\s*;\s*;\s*\)\)|until\s+false)",
            loop,
        )
        if endless and re.search(r"[^&]&[\s;)]*done|(?:\$0|bash|sh)\s*&", loop):
            yield Finding("fork-bomb", "block", reason), start, end
