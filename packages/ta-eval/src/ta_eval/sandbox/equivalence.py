"""Do two commands do the same? Decided by what they did, and only where the first did something to be seen.

Which part counts follows from the reference: files it changed, else what it printed, else the state of the
shell. A reference without any of it shows nothing, and then the verdict is none. That rule is what makes
execution precise: with "outputs equal" alone, 71 of 300 published pairs passed because both printed nothing.
"""

import functools
import re
from collections import Counter
from importlib.resources import files
from typing import NamedTuple

from ta_eval.sandbox.bwrap import Sandbox
from ta_eval.sandbox.execute import WALL_S, Execution, execute
from ta_eval.scorers.options import options_of

NOT_FOUND = re.compile(
    r"([\w.+-]+): command not found|^(?:xargs|env|timeout|nice|nohup): .?([\w.+-]+).?: No such file",
    re.MULTILINE,
)
WALKS = re.compile(r"\b(find|du|grep\s+(?:\S+\s+)*?-\w*[rR]|fd|rg|tree)\b")
ORDERS = re.compile(r"\b(sort|tac|head|tail|nl|ls|uniq|sed\s+-n|awk|cat\s+-n|xargs|exec)\b")


OTHER_TOOLS = re.compile(
    "7z|ack|ag|bat|bc|cal|exa|eza|fd|fdfind|host|htop|ifconfig|locate|man|mlocate|nano|ncal|ncdu|netstat|nslookup|"
    "parallel|pigz|plocate|pv|rename|rg|route|screen|sponge|tmux|vim|zstd|zstdcat"
)
"""Tools that exist, beside those of the options table: an answer with one that is missing may be right."""


PATIENCE = 10
"""Times what doing nothing takes, the longest time of a command: a slow machine must not make answers wrong."""


class Verdict(NamedTuple):
    """`equivalent` is None where nothing can be said; `reason` says why, in a few words."""

    equivalent: bool | None
    reason: str


@functools.cache
def sample_home() -> str:
    """The setup of commands that come without one: a home directory with a few files of each sort."""
    return files("ta_eval.sandbox").joinpath("sample_home.sh").read_text(encoding="utf-8")


def compare_commands(
    sandbox: Sandbox, reference: str, candidate: str, *, setup: str = "", wall_s: float = WALL_S
) -> Verdict:
    """Run both in the same surroundings and compare what they did.

    Before two commands are called different the reference runs once more: one that does something else each
    time (a random name, a process number, the clock) can be compared with nothing.
    """
    untouched = execute(sandbox, ":", setup=setup, wall_s=wall_s)
    wall_s = max(wall_s, PATIENCE * untouched.seconds)
    expected = execute(sandbox, reference, setup=setup, wall_s=wall_s)
    effect = _effect(expected, untouched)
    problem = untouched.problem or _unusable(expected, effect)
    if problem:
        return Verdict(None, problem)
    if " ".join(reference.split()) == " ".join(candidate.split()):
        return Verdict(True, "the same text")
    found = execute(sandbox, candidate, setup=setup, wall_s=wall_s)
    verdict = _compare(expected, found, untouched, effect, reference, candidate)
    if verdict.equivalent is False and not _repeatable(sandbox, reference, setup, wall_s):
        return Verdict(None, "not repeatable: the reference does something else every time")
    return verdict


@functools.lru_cache(maxsize=4096)
def _repeatable(sandbox: Sandbox, reference: str, setup: str, wall_s: float) -> bool:
    """Whether a second run of the reference does what its first did."""
    untouched = execute(sandbox, ":", setup=setup, wall_s=wall_s)
    first = execute(sandbox, reference, setup=setup, wall_s=wall_s)
    again = execute.__wrapped__(sandbox, reference, setup=setup, wall_s=wall_s)
    verdict = _compare(first, again, untouched, _effect(first, untouched), reference, reference)
    return bool(again.problem) or verdict.equivalent is not False


def _effect(done: Execution, untouched: Execution) -> str:
    """What of a command can be seen: `files`, `output`, `state`, or nothing."""
    if done.files != untouched.files:
        return "files"
    if done.stdout.strip():
        return "output"
    return "state" if done.state != untouched.state else ""


def _unusable(reference: Execution, effect: str) -> str:
    """Why a reference cannot be held against anything, or an empty string."""
    if reference.problem:
        return f"reference fails here: {reference.problem}"
    missing = _missing_tool(reference)
    if missing:
        return f"tool missing: {missing} is not installed here"
    # `cat missing | wc -l` prints a 0 that means nothing; diff and grep say "no" with 1 and without a message.
    absent = "No such file or directory" in reference.stderr
    failed = absent or reference.exit_code > 1 or (reference.exit_code == 1 and not effect and reference.stderr)
    if failed and effect != "files":
        return f"reference fails here: {reference.first_error or f'exit status {reference.exit_code}'}"
    return ""


def _compare(
    expected: Execution, found: Execution, untouched: Execution, effect: str, reference: str, candidate: str
) -> Verdict:
    missing = _missing_tool(found)
    if missing and (OTHER_TOOLS.fullmatch(missing) or options_of(missing) is not None):
        return Verdict(None, f"tool missing: {missing} is not installed here")
    if found.problem:
        return Verdict(False, f"candidate: {found.problem}")
    if effect == "files":
        return _same_files(expected, found, untouched)
    if found.files != untouched.files:
        return Verdict(False, f"candidate changes files: {_first_change(found, untouched)}")
    if effect == "output":
        return _same_output(expected.stdout, found.stdout, reference, candidate)
    if found.stdout.strip():
        return Verdict(False, "candidate prints something, reference does not")
    if effect == "state":
        same = expected.state == found.state
        return Verdict(same, "same state of the shell" if same else "another state of the shell")
    if found.state != untouched.state:
        return Verdict(False, "candidate changes the state of the shell, reference does not")
    if bool(expected.exit_code) != bool(found.exit_code):
        return Verdict(False, f"exit status {found.exit_code}, expected {expected.exit_code}")
    return Verdict(None, "nothing to be seen: the reference prints nothing and changes nothing here")


def _same_files(expected: Execution, found: Execution, untouched: Execution) -> Verdict:
    """Names, kinds, modes, contents and link targets; times where they are not simply new."""
    if expected.files == found.files:
        return Verdict(True, f"same files: {_first_change(expected, untouched)}")
    paths = sorted(expected.files.keys() | found.files.keys())
    path = next(path for path in paths if expected.files.get(path) != found.files.get(path))
    one, other = expected.files.get(path), found.files.get(path)
    if one is None or other is None:
        return Verdict(False, f"{path}: {'not expected' if one is None else 'missing'}")
    fields = [name for name in one._fields if getattr(one, name) != getattr(other, name)]
    return Verdict(False, f"{path}: another {fields[0]}")


def _first_change(done: Execution, untouched: Execution) -> str:
    paths = sorted(done.files.keys() | untouched.files.keys())
    return next((path for path in paths if done.files.get(path) != untouched.files.get(path)), "")


def _same_output(expected: str, found: str, reference: str, candidate: str) -> Verdict:
    """Line by line; blanks count as one, `./x` is `x`. Sorted where the order is only the disk's."""
    lines, others = _lines(expected, reference), _lines(found, candidate)
    if lines == others:
        return Verdict(True, "same output")
    if WALKS.search(reference) and not ORDERS.search(reference) and Counter(lines) == Counter(others):
        return Verdict(True, "same output, in another order")
    if len(lines) == len(others) == 1 and _same_number(lines[0], reference, others[0], candidate):
        return Verdict(True, "same number")
    return Verdict(False, f"prints {_shown(others)}, expected {_shown(lines)}")


def _lines(text: str, command: str) -> list[str]:
    """Lines that are not blank; an argument `logs/` that comes back as it was given is `logs`.

    Bash's `_=/usr/bin/env`, which names the command that prints it, is left out.
    """
    given = {word for word in command.split() if word.endswith("/") and len(word) > 1}
    lines = []
    for line in text.strip().splitlines():
        words = [word[:-1] if word in given else word for word in line.split()]
        lines.append(re.sub(r"(?<!\S)\./(?=\S)", "", " ".join(words)))
    return [line for line in lines if line and not line.startswith("_=")]


def _same_number(one: str, reference: str, other: str, candidate: str) -> bool:
    """`12` is `12 notes.txt` or `notes.txt: 12`, where the name is one that the command says."""
    (number, name), (number_too, name_too) = _number(one), _number(other)
    if not number or number != number_too or bool(name) == bool(name_too):
        return False
    return name in reference if name else name_too in candidate


def _number(line: str) -> tuple[str, str]:
    match = re.fullmatch(r"(?:(\S+?):? )?([\d.,]+[KMGT]?)(?: (\S+))?", line)
    return (match[2], match[1] or match[3] or "") if match else ("", "")


def _shown(lines: list[str]) -> str:
    text = " ⏎ ".join(lines)
    return repr(text[:60] + ("…" if len(text) > 60 else "")) if text else "nothing"


def _missing_tool(done: Execution) -> str:
    match = NOT_FOUND.search(done.stderr)
    return match[1] or match[2] if match else ""
