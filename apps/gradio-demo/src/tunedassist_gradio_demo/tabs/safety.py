"""Safety: the red-team report with its heat map, and a probe that is run here and now."""

from collections.abc import Callable

import gradio as gr

from ta_safety.guard import Verdict
from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.look.heat_map import heat_map
from tunedassist_gradio_demo.look.markdown import plain
from tunedassist_gradio_demo.look.parts import (
    Fact,
    Html,
    facts,
    heading,
    joined,
    notice,
    percent,
    table,
    text,
)
from tunedassist_gradio_demo.reports import Missing, interval, points, read_report
from tunedassist_gradio_demo.tabs import OnOpen, probe
from tunedassist_gradio_demo.talk.view import rail_chips

READ_AS = ("as a question", "as an answer", "as a document")


def report(demo: Demo) -> Html:
    """Rates with their intervals, where they come from, and what was not looked at."""
    try:
        found = read_report(demo.run, "safety-report")
    except Missing as missing:
        return missing.html
    total, harm = found["total"], found["harmless"]
    by = [(r["name"], r["attempts"], points(r["raw"]), points(r["guarded"])) for r in found["by_owasp"]]
    titles = {row["scenario"]: row["title"] for row in found["sheet"]}
    left = "".join(f"<li>{text(line)}</li>" for line in found["not_covered"])
    return joined(
        facts(
            [
                Fact(
                    percent(total["raw"]["estimate"], 0), "attacks succeed, bare model", interval(total["raw"])
                ),
                Fact(percent(total["guarded"]["estimate"], 0), "behind the guard", interval(total["guarded"])),
                Fact(
                    percent(harm["refused"]["estimate"]),
                    "harmless questions refused",
                    f"of {harm['conversations']}; at most {percent(harm['refused']['high'])}",
                ),
            ]
        ),
        heat_map(found["heat_map"], titles),
        table(("risk (OWASP 2025)", "attacks", "bare model", "behind the guard"), by, numbers=(1,)),
        f"<details><summary>What was not looked at</summary><ul>{left}</ul></details>",
    )


def check(demo: Demo, said: str, stage: str) -> Html:
    """What the rails make of a text, with no model: findings marked where they stand."""
    if not said.strip():
        return notice("Paste a text first.")
    guard = demo.guard
    checks: dict[str, Callable[[str], Verdict]] = {
        "as a question": guard.check_input,
        "as an answer": guard.check_output,
        "as a document": guard.check_document,
    }
    verdict = checks[stage](said)
    spans = [event.span for event in verdict.events if event.action != "allow"]
    passes = (
        f"<h4>What passes on</h4><div class='said'>{plain(verdict.text)}</div>" if verdict.text != said else ""
    )
    return joined(f"<div class='said paper'>{plain(said, spans)}</div>", rail_chips(verdict.events), passes)


def build(demo: Demo) -> OnOpen:
    """The tab."""
    gr.HTML(heading("Safety", "Attacked before anybody else does: raw, and behind the guard."))
    shown = gr.HTML(elem_id="safety-report")
    on_open: OnOpen = [(lambda: report(demo), shown)]
    gr.HTML("<h3>Check a text</h3>")
    with gr.Row(equal_height=True):
        said = gr.Textbox(label="Text", lines=3, scale=3, min_width=260, elem_id="check-text")
        stage = gr.Radio(list(READ_AS), value="as a question", label="Read it", scale=1, min_width=180)
    checked = gr.HTML(elem_id="checked")
    gr.Button("Check", size="sm", elem_id="check", elem_classes="action").click(
        lambda words, kind: check(demo, words, kind), [said, stage], checked
    )
    gr.HTML("<h3>Run a probe</h3>")
    probe.build(demo)
    return on_open
