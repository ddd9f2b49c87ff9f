"""Small pieces of HTML that several tabs use. Everything that comes from data is escaped here."""

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

SIGNS = {"allow": "✓", "warn": "!", "mask": "▒", "block": "✕"}
WORDS = {"allow": "passed", "warn": "warned", "mask": "masked", "block": "blocked"}
"""A chip says in words what its colour says."""


class Html(str):
    """A text that is HTML already."""


def text(value: Any) -> str:
    """A value as HTML: escaped unless it is HTML already."""
    return value if isinstance(value, Html) else escape(str(value))


def chip(action: str, label: str) -> Html:
    """A rounded label in the colour of an action, with a sign and a word."""
    return Html(
        f'<span class="chip {escape(action)}"><span aria-hidden="true">{SIGNS[action]}</span> '
        f"{text(label)}</span>"
    )


def tag(label: Any, kind: str = "") -> Html:
    """A quiet label."""
    return Html(f'<span class="tag {escape(kind)}">{text(label)}</span>')


def table(
    head: Sequence[str], rows: Sequence[Sequence[Any]], *, caption: str = "", numbers: Sequence[int] = ()
) -> Html:
    """A table that scrolls by itself where the screen is narrow; columns in `numbers` are right-aligned."""
    if not rows:
        return Html("")
    said = f"<caption>{text(caption)}</caption>" if caption else ""
    head_cells = "".join(
        f'<th scope="col"{_number(at, numbers)}>{text(name)}</th>' for at, name in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{_number(at, numbers)}>{text(cell)}</td>" for at, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return Html(
        f'<div class="scroll" tabindex="0"><table>{said}<thead><tr>{head_cells}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _number(at: int, numbers: Sequence[int]) -> str:
    return ' class="n"' if at in numbers else ""


def notice(what: str, *, todo: str = "", kind: str = "info") -> Html:
    """A message in the place of what is missing or went wrong; `todo` is the command that mends it."""
    command = f"<pre><code>{text(todo)}</code></pre>" if todo else ""
    role = "alert" if kind == "error" else "note"
    return Html(f'<div class="notice {kind}" role="{role}"><p>{text(what)}</p>{command}</div>')


def heading(title: str, about: str = "") -> Html:
    """The head of a tab: a title and one sentence."""
    return Html(f"<header class='head'><h2>{text(title)}</h2><p>{text(about)}</p></header>")


def percent(share: float, digits: int = 1) -> str:
    """`22.8 %`."""
    return f"{100 * share:.{digits}f} %"


class Fact(NamedTuple):
    """A number that a person should see first."""

    value: str
    label: str
    about: str = ""


def facts(entries: Sequence[Fact]) -> Html:
    """Numbers in a row, wrapping on small screens."""
    cells = "".join(
        f"<div><dt>{text(fact.label)}</dt><dd>{text(fact.value)}</dd><p>{text(fact.about)}</p></div>"
        for fact in entries
    )
    return Html(f'<dl class="facts">{cells}</dl>')


def joined(*pieces: str) -> Html:
    """Pieces of HTML after one another."""
    return Html("".join(pieces))
