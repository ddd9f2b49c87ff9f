"""Every command line of a guide or README parses: the command exists, so do its options, nothing is missing."""

import importlib
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

ROOT = Path(__file__).parent.parent
GUIDES = sorted([ROOT / "README.md", *ROOT.glob("*/*/*.md"), *ROOT.glob("*/*/guides/*.md")])
OURS = {
    script.name: script.value.partition(":")[0]
    for script in entry_points(group="console_scripts")
    if script.name.startswith(("ta-", "tunedassist")) or script.name == "ta"
}
FENCED = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```", flags=re.S | re.M)


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of each of our commands in the fenced shell blocks, pipes taken apart."""
    for block in (body for info, body in FENCED.findall(text) if info in ("", "bash", "sh", "console")):
        for line in block.replace("\\\n", " ").splitlines():
            for piece in re.split(r"[|;&]+(?=\s|$)", line.partition(" # ")[0]):
                try:
                    words = shlex.split(piece.removeprefix("$ "))
                except ValueError:  # a text block, no commands
                    continue
                start = next((n for n, word in enumerate(words) if word in OURS), None)
                if start == 0 or (start and words[:2] == ["uv", "run"] and "just" not in words[:start]):
                    end = next((n for n, word in enumerate(words) if word.startswith((">", "<"))), len(words))
                    yield words[start:end]


def parse(words: list[str]) -> None:
    """Raises TyperException where the command line would be refused."""
    name, *rest = words
    command = get_command(importlib.import_module(OURS[name]).app)
    context = None
    while True:
        context = command.make_context(name, rest, parent=context)
        left = [*context._protected_args, *context.args]
        if not isinstance(command, TyperGroup) or not left:  # a group that does something by itself
            return
        found, command, rest = command.resolve_command(context, left)
        name = found or name


LINES = [
    (f"{guide.relative_to(ROOT)}: {shlex.join(words)}", words)
    for guide in GUIDES
    for words in command_lines(guide.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("words", [words for _, words in LINES], ids=[name for name, _ in LINES])
def test_every_command_line_of_a_guide_parses(words: list[str]) -> None:
    parse(words)


@pytest.mark.parametrize(
    "line", ["tunedassist nonesuch", "tunedassist run linux-cli --no-such-option", "ta-data prepare"]
)
def test_a_wrong_command_line_would_be_noticed(line: str) -> None:
    with pytest.raises(TyperException):
        parse(line.split())


def test_every_guide_holds_commands() -> None:
    for guide in ROOT.glob("*/*/guides/*.md"):
        assert list(command_lines(guide.read_text(encoding="utf-8"))), guide
