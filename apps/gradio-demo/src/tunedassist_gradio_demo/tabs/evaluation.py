"""Evaluation: the verdict, intervals by category, and every question with both answers to browse."""

from typing import Any

import gradio as gr

from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.look.interval_plot import Line, interval_plot
from tunedassist_gradio_demo.look.parts import Fact, Html, facts, heading, joined, percent, text
from tunedassist_gradio_demo.reports import Missing, interval, read_report
from tunedassist_gradio_demo.tabs import OnOpen, items


def report(demo: Demo) -> Html:
    """The verdict in a sentence, then every item set with its systems and categories."""
    try:
        found = read_report(demo.run, "eval-report")
    except Missing as missing:
        return missing.html
    verdict = f'<p class="asked">{text(found.get("verdict", found["title"]))}</p>'
    return joined(verdict, *(_item_set(one) for one in found["item_sets"]), _notes(found))


def _item_set(found: dict[str, Any]) -> Html:
    numbers = [
        Fact(percent(s["accuracy"]["estimate"]), s["name"], f"{interval(s['accuracy'])}, n = {s['scored']}")
        for s in found["systems"]
    ]
    for comparison in found["comparisons"]:
        difference = comparison["difference"]
        low, high = 100 * difference["low"], 100 * difference["high"]
        numbers.append(
            Fact(
                f"{100 * difference['estimate']:+.0f} points",
                comparison["verdict"],
                f"95 % interval {low:+.0f} to {high:+.0f}; detectable: "
                f"{100 * comparison['minimum_detectable_effect']:.0f}",
            )
        )
    lines = [
        Line(category, s["name"], share["estimate"], share["low"], share["high"])
        for s in found["systems"]
        for category, share in s["by_category"].items()
    ]
    plot = interval_plot(lines, title=f"Right answers by category: {found['name']}") if lines else Html("")
    return joined(f"<h3>{text(found['name'])}</h3>", facts(numbers), plot)


def _notes(found: dict[str, Any]) -> Html:
    notes = "".join(f"<li>{text(note)}</li>" for note in found["notes"])
    return Html(f'<ul class="quiet">{notes}</ul>' if notes else "")


def build(demo: Demo) -> OnOpen:
    """The tab."""
    gr.HTML(heading("Evaluation", "Did tuning help, by how much, and how sure is that?"))
    shown = gr.HTML(elem_id="eval-report")
    on_open: OnOpen = [(lambda: report(demo), shown)]
    gr.HTML("<h3>Every question</h3>")
    items.build(demo)
    return on_open
