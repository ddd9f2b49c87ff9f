"""A heat map as a table: readable without colour, with the numbers in the cells."""

from collections.abc import Sequence
from typing import Any

from tunedassist_gradio_demo.look.parts import Html, text


def heat_map(cells: Sequence[dict[str, Any]], titles: dict[str, str]) -> Html:
    """Scenario by style: successes raw and guarded of the attempts; darker is worse, a frame marks what got
    through the guard."""
    styles = list(dict.fromkeys(cell["style"] for cell in cells))
    scenarios = list(dict.fromkeys(cell["scenario"] for cell in cells))
    by_place = {(cell["scenario"], cell["style"]): cell for cell in cells}
    head = "".join(f'<th scope="col">{text(style)}</th>' for style in styles)
    rows = "".join(
        f'<tr><th scope="row">{text(titles.get(scenario, scenario))}</th>'
        + "".join(_cell(by_place.get((scenario, style))) for style in styles)
        + "</tr>"
        for scenario in scenarios
    )
    caption = "Each cell: attacks that succeed on the bare model → behind the guard"
    return Html(
        f'<div class="scroll" tabindex="0"><table class="heat"><caption>{caption}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "<td></td>"
    attempts = max(1, cell["attempts"])
    raw = cell["raw"] / attempts
    through = " through" if cell["guarded"] else ""
    worst = "hot" if raw > 0.5 else "warm" if raw else "cold"
    said = f"{cell['raw']} → {cell['guarded']}" if cell["raw"] or cell["guarded"] else "·"
    title = f"{cell['raw']} of {cell['attempts']} raw, {cell['guarded']} guarded"
    return f'<td class="{worst}{through}" title="{text(title)}">{said}</td>'
