"""Voting in a terminal: a question, two answers, one letter."""

import time

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from ta_eval.ab.bundle import Bundle
from ta_eval.ab.votes import Choice, add_vote, next_pair, read_votes

LETTERS: dict[str, Choice] = {"a": "left", "b": "right", "t": "tie", "n": "both_bad"}


def vote_in_terminal(bundle: Bundle, rater: str) -> int:
    """Show pair after pair until the end, `q` or end of input; returns how many votes were given."""
    console = Console()
    given = 0
    while (pair := next_pair(bundle, read_votes(bundle.path), rater)) is not None:
        console.rule(f"{rater}, vote {sum(vote.rater == rater for vote in read_votes(bundle.path)) + 1}")
        console.print(Text(printable(pair.question), style="bold"))
        width = max(30, (console.width - 2) // 2)
        sides = (("A", pair.left), ("B", pair.right))
        console.print(Columns([Panel(Text(printable(text)), title=name, width=width) for name, text in sides]))
        started = time.monotonic()
        letter = _ask(console)
        if letter == "q":
            break
        add_vote(bundle.path, pair.id, rater, LETTERS[letter], seconds=time.monotonic() - started)
        given += 1
    return given


def printable(text: str) -> str:
    """Without control characters: an answer must not steer the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def _ask(console: Console) -> str:
    while True:
        try:
            letter = console.input("better: [b]a[/b], [b]b[/b], [b]t[/b]ie, [b]n[/b]either; [b]q[/b]uit > ")
        except EOFError:
            return "q"
        letter = letter.strip().lower()[:1]
        if letter in LETTERS or letter == "q":
            return letter
