"""Chat: streaming answers behind the guard, every message with its rails; thumbs and corrections are kept."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ta_schemas import UserError
from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.feedback import Rating, keep_feedback
from tunedassist_gradio_demo.look.parts import Html, heading, notice
from tunedassist_gradio_demo.tabs import OnOpen
from tunedassist_gradio_demo.talk.presets import attacks, questions
from tunedassist_gradio_demo.talk.respond import respond
from tunedassist_gradio_demo.talk.turn import Turn
from tunedassist_gradio_demo.talk.view import conversation, live

Turns = tuple[Turn, ...]
Shown = tuple[Turns, str, str, str, str]
"""Turns, conversation, live panel, id of the running request, what stays in the message box."""


def send(demo: Demo, turns: Turns, message: str, model: str, adapter: str | None) -> Iterator[Shown]:
    """Answer a message, a step at a time."""
    question = message.strip()
    if not question:
        yield turns, conversation(turns), live(turns[-1] if turns else None), "", ""
        return
    for step in respond(demo.models, demo.guard, turns, question, model=model, adapter=_name(adapter)):
        now = (*turns, step.turn)
        yield now, conversation(now), live(step.turn), step.request_id, ""


def rate(demo: Demo, turns: Turns, rating: Rating, correction: str, comment: str) -> tuple[Html, str, str]:
    """Keep a thumb with its correction and comment; the boxes are emptied when it is kept."""
    try:
        row = keep_feedback(
            demo.feedback,
            turns,
            rating,
            system_prompt=demo.models.system_prompt,
            correction=correction,
            comment=comment,
        )
    except UserError as error:
        return notice(str(error), kind="error"), correction, comment
    what = "a correction" if row.correction else f"thumb {rating}"
    review = f"tunedassist data feedback {demo.feedback} --dataset {demo.run / 'dataset'} --review review.csv"
    return notice(f"Kept: {what}. It becomes training data once reviewed:", todo=review, kind="good"), "", ""


def no_model(demo: Demo) -> Html:
    """What to do where nothing can be asked."""
    return notice(f"No model in {demo.run} yet. Train one, then start the demo again:", todo="just train")


def adapter_menu(demo: Demo, model: str) -> Any:
    """The adapters that belong to a model; greyed out where it has none."""
    names = demo.models.adapters(model)
    return gr.update(choices=[NO_ADAPTER, *names], value=NO_ADAPTER, interactive=bool(names))


NO_ADAPTER = "none"


def _name(adapter: str | None) -> str:
    return "" if adapter in (None, NO_ADAPTER) else str(adapter)


def build(demo: Demo) -> OnOpen:
    """The tab."""
    gr.HTML(heading("Chat", "Every message passes the rails, on the way in and on the way out, line by line."))
    if not demo.models.names:
        gr.HTML(no_model(demo))
        return []
    turns, running = gr.State(()), gr.State("")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            talk = gr.HTML(conversation(()), elem_id="talk", max_height=620, autoscroll=True)
            message = gr.Textbox(
                show_label=False, label="Message", placeholder="Ask, then Enter. Shift+Enter makes a new line.",
                lines=1, max_lines=6, submit_btn="Send", elem_id="message", autofocus=True,
            )  # fmt: skip
            with gr.Row():
                stop = gr.Button("Stop", size="sm", elem_id="stop")
                new = gr.Button("New conversation", size="sm", elem_id="new")
            _presets(demo, message)
        with gr.Column(scale=2, min_width=300):
            model, adapter = _menus(demo)
            gr.HTML("<h3>Rails, live</h3>")
            panel = gr.HTML(live(None), elem_id="live")
            _feedback(demo, turns)
    shown = [turns, talk, panel, running, message]

    def on_send(*values: Any) -> Iterator[Shown]:
        yield from send(demo, *values)

    message.submit(
        on_send, [turns, message, model, adapter], shown, show_progress="hidden", concurrency_limit=8
    )
    stop.click(demo.models.stop, running, None, queue=False)
    new.click(lambda: ((), conversation(()), live(None), "", ""), None, shown, queue=False)
    return []


def _menus(demo: Demo) -> tuple[Any, Any]:
    first = demo.models.names[0]
    adapters = demo.models.adapters(first)
    model = gr.Dropdown(demo.models.names, value=first, label="Model", elem_id="model")
    adapter = gr.Dropdown(
        [NO_ADAPTER, *adapters],
        value=NO_ADAPTER,
        label="LoRA adapter",
        interactive=bool(adapters),
        elem_id="adapter",
    )
    model.change(lambda name: adapter_menu(demo, name), model, adapter)
    return model, adapter


def _presets(demo: Demo, message: Any) -> None:
    for label, found in (("Questions", questions(demo)), ("Attacks", attacks(demo))):
        if found:
            gr.Examples(
                [[preset.message] for preset in found], message, label=label,
                example_labels=[preset.label for preset in found],
            )  # fmt: skip


def _feedback(demo: Demo, turns: Any) -> None:
    gr.HTML("<h3>Was the last answer right?</h3>")
    correction = gr.Textbox(label="What it should have said", lines=3, elem_id="correction")
    comment = gr.Textbox(label="Comment", lines=1, elem_id="comment")
    with gr.Row():
        buttons: dict[Rating, Any] = {
            "up": gr.Button("Thumb up", size="sm", elem_id="up"),
            "down": gr.Button("Thumb down", size="sm", elem_id="down"),
        }
    kept = gr.HTML(elem_id="kept")
    for rating, button in buttons.items():

        def on_click(said: Turns, right: str, why: str, rating: Rating = rating) -> tuple[Html, str, str]:
            return rate(demo, said, rating, right, why)

        button.click(on_click, [turns, correction, comment], [kept, correction, comment])
