"""Compare: two models answer the same question side by side; and blind votes into ta-eval's journal."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.look.parts import Html, heading
from tunedassist_gradio_demo.tabs import OnOpen, votes
from tunedassist_gradio_demo.talk.both import side_by_side
from tunedassist_gradio_demo.talk.presets import questions
from tunedassist_gradio_demo.talk.respond import respond
from tunedassist_gradio_demo.talk.turn import Turn
from tunedassist_gradio_demo.talk.view import one_answer

Shown = tuple[str, str, tuple[str, str]]


def ask_both(demo: Demo, question: str, left: str, right: str) -> Iterator[Shown]:
    """The two answers as they come, each behind the guard."""
    asked = question.strip()
    if not asked:
        yield Html(""), Html(""), ("", "")
        return
    for pair in side_by_side(
        lambda: respond(demo.models, demo.guard, (), asked, model=left),
        lambda: respond(demo.models, demo.guard, (), asked, model=right),
    ):
        yield _column(pair.left), _column(pair.right), pair.request_ids


def stop_both(demo: Demo, running: tuple[str, str]) -> None:
    """End whichever still runs."""
    for request_id in running:
        demo.models.stop(request_id)


def _column(turn: Turn | None) -> Html:
    return one_answer(turn) if turn else Html('<p class="quiet">…</p>')


def build(demo: Demo) -> OnOpen:
    """The tab."""
    gr.HTML(
        heading("Compare", "Base and tuned on the same question; then blind, so that the name does not judge.")
    )
    if demo.models.names:
        _build_side_by_side(demo)
    gr.HTML("<h3>Blind votes</h3>")
    votes.build(demo)
    return []


def _build_side_by_side(demo: Demo) -> None:
    running = gr.State(("", ""))
    question = gr.Textbox(
        show_label=False, label="Question", placeholder="One question for both", submit_btn="Ask both",
        elem_id="both-question",
    )  # fmt: skip
    if found := questions(demo):
        gr.Examples(
            [[preset.message] for preset in found], question, label="Questions",
            example_labels=[preset.label for preset in found],
        )  # fmt: skip
    columns = []
    with gr.Row():
        for role in ("base", "tuned"):
            with gr.Column(min_width=280):
                menu = gr.Dropdown(demo.models.names, value=demo.models.first(role), label=role.capitalize())
                columns.append((menu, gr.HTML(elem_id=f"both-{role}", min_height=120)))
    stop = gr.Button("Stop", size="sm", elem_classes="action")
    (left, left_out), (right, right_out) = columns

    def on_ask(*values: Any) -> Iterator[Shown]:
        yield from ask_both(demo, *values)

    question.submit(
        on_ask,
        [question, left, right],
        [left_out, right_out, running],
        show_progress="hidden",
        concurrency_limit=4,
    )
    stop.click(lambda ids: stop_both(demo, ids), running, None, queue=False)
