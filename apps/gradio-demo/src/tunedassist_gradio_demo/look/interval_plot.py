"""Estimates with their intervals, as an inline SVG that follows the page's colours."""

from collections.abc import Sequence
from typing import NamedTuple

from tunedassist_gradio_demo.look.parts import Html, percent, text

ROW, LEFT, WIDTH, RIGHT = 40, 150, 420, 50


class Line(NamedTuple):
    """One system on one group; shares from 0 to 1."""

    group: str
    system: str
    estimate: float
    low: float
    high: float


def interval_plot(lines: Sequence[Line], *, title: str) -> Html:
    """Groups below one another, each with a dot and a whisker a system."""
    groups = list(dict.fromkeys(line.group for line in lines))
    systems = list(dict.fromkeys(line.system for line in lines))
    height = ROW * len(groups) + 46
    marks = [_grid(share, height) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for at, group in enumerate(groups):
        middle = 34 + ROW * at + ROW / 2
        marks.append(f'<text x="{LEFT - 12}" y="{middle + 4}" text-anchor="end">{text(group)}</text>')
        mine = [line for line in lines if line.group == group]
        for line in mine:
            number = systems.index(line.system)
            marks.append(_whisker(line, middle + (number - (len(systems) - 1) / 2) * 14, number))
    keys = "".join(
        f'<span class="key"><svg viewBox="0 0 12 12" aria-hidden="true" class="system-{number}">'
        f"{_sign(6, 6, number)}</svg>{text(system)}</span>"
        for number, system in enumerate(systems)
    )
    return Html(
        f'<figure class="plot"><figcaption>{text(title)} <span class="keys">{keys}</span></figcaption>'
        f'<div class="scroll" tabindex="0"><svg viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" role="img" '
        f'aria-label="{text(title)}">{"".join(marks)}</svg></div></figure>'
    )


def _x(share: float) -> float:
    return LEFT + WIDTH * min(1.0, max(0.0, share))


def _grid(share: float, height: int) -> str:
    x = _x(share)
    return (
        f'<line class="grid" x1="{x}" x2="{x}" y1="26" y2="{height - 8}"/>'
        f'<text class="axis" x="{x}" y="18" text-anchor="middle">{percent(share, 0)}</text>'
    )


def _whisker(line: Line, y: float, number: int) -> str:
    said = (
        f"{line.system}, {line.group}: {percent(line.estimate)} ({percent(line.low)} to {percent(line.high)})"
    )
    return (
        f'<g class="system-{number}"><title>{text(said)}</title>'
        f'<line x1="{_x(line.low):.1f}" x2="{_x(line.high):.1f}" y1="{y}" y2="{y}"/>'
        f"{_sign(_x(line.estimate), y, number)}</g>"
    )


def _sign(x: float, y: float, number: int) -> str:
    """Another shape for every system: colour is not needed to tell them apart."""
    if number % 2:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
