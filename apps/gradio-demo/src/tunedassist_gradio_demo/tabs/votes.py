"""Blind votes: a pair without names, one of four buttons, a line in the journal that `ta-eval ab` reads."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from ta_eval.ab.analysis import analyze, sentence
from ta_eval.ab.bundle import create_bundle, key_path, open_bundle, open_key
from ta_eval.ab.votes import CHOICES, Choice, add_vote, check_rater, next_pair, read_votes
from ta_eval.answers import read_answered_pair
from ta_schemas import UserError
from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.look.markdown import plain, rendered
from tunedassist_gradio_demo.look.parts import Html, joined, notice, text

LABELS: dict[Choice, str] = {
    "left": "A is better",
    "right": "B is better",
    "tie": "Equal",
    "both_bad": "Neither",
}
PAIRS = 30
"""As many questions as a person will judge; one in ten comes back with sides exchanged."""


class Ballot(NamedTuple):
    """What is shown; `pair` is empty where there is nothing to vote on."""

    html: Html
    pair: str = ""
    since: float = 0.0


def prepare(demo: Demo) -> None:
    """Deal the pairs of base and tuned where no bundle is there yet. Raises UserError."""
    if not (demo.votes / "ab.json").is_file():
        answers = demo.run / "predictions"
        create_bundle(
            read_answered_pair(answers / "base-benchmark", answers / "tuned-benchmark"),
            demo.votes,
            key_path(demo.votes),
            items=PAIRS,
            votes_per_item=1,
            title="Which answer is better?",
        )


def ask(demo: Demo, rater: str) -> Ballot:
    """The next pair for this rater."""
    try:
        check_rater(rater.strip())
        prepare(demo)
        bundle, given = open_bundle(demo.votes), read_votes(demo.votes)
    except UserError as error:
        return Ballot(_missing(demo, error))
    pair = next_pair(bundle, given, rater.strip())
    mine = sum(vote.rater == rater.strip() for vote in given)
    if pair is None:
        return Ballot(notice(f"Thank you: {mine} votes, nothing left for you.", kind="good"))
    sides = "".join(
        f'<section class="side"><h4>{name}</h4><div class="said">{rendered(answer)}</div></section>'
        for name, answer in (("A", pair.left), ("B", pair.right))
    )
    return Ballot(
        Html(
            f'<p class="quiet">Vote {mine + 1} of {text(rater)}; {len(given)} votes in all.</p>'
            f'<p class="asked">{plain(pair.question)}</p><div class="sides">{sides}</div>'
        ),
        pair.id,
        time.time(),
    )


def vote(demo: Demo, rater: str, pair: str, since: float, choice: Choice) -> Ballot:
    """Write the vote and give the next pair."""
    if pair:
        try:
            add_vote(demo.votes, pair, rater.strip(), choice, seconds=min(3600.0, time.time() - since))
        except UserError as error:
            return Ballot(notice(str(error), kind="error"), pair, since)
    return ask(demo, rater)


def reveal(demo: Demo) -> Html:
    """Open the key: who is preferred, and how sure that is; looking early is allowed."""
    try:
        bundle = open_bundle(demo.votes)
        found = analyze(bundle, open_key(bundle, key_path(demo.votes)), read_votes(demo.votes))
    except UserError as error:
        return _missing(demo, error)
    again = notice("The same, with agreement and bias:", todo=f"tunedassist eval ab analyze {demo.votes}")
    return joined(f'<p class="asked">{text(sentence(found))}</p>', again)


def _missing(demo: Demo, error: UserError) -> Html:
    there = Path(demo.run / "predictions" / "tuned-benchmark" / "manifest.json").is_file()
    return notice(str(error), todo="" if there else "just train", kind="info")


def _with_buttons(asked: Ballot) -> tuple[Any, ...]:
    """Buttons only where there is something to vote on."""
    return (*asked, gr.update(visible=bool(asked.pair)))


def build(demo: Demo) -> None:
    """The part of the tab."""
    pair, since = gr.State(""), gr.State(0.0)
    with gr.Row(equal_height=False):
        rater = gr.Textbox(label="Your name", placeholder="ann", elem_id="rater", max_length=40, scale=2)
        begin = gr.Button("Begin", elem_id="begin", size="sm", scale=0, min_width=140)
    shown = gr.HTML(elem_id="pair")
    with gr.Row(elem_id="vote-buttons", visible=False) as choices:
        buttons = {
            choice: gr.Button(LABELS[choice], size="sm", elem_id=f"vote-{choice}", min_width=120)
            for choice in CHOICES
        }
    outputs = [shown, pair, since, choices]

    def on_begin(name: str) -> tuple[Any, ...]:
        return _with_buttons(ask(demo, name))

    gr.on([begin.click, rater.submit], on_begin, rater, outputs)
    for choice, button in buttons.items():

        def on_vote(name: str, at: str, began: float, choice: Choice = choice) -> tuple[Any, ...]:
            return _with_buttons(vote(demo, name, at, began, choice))

        button.click(on_vote, [rater, pair, since], outputs)
    with gr.Accordion("Open the key", open=False):
        told: Any = gr.HTML('<p class="quiet">Tells who leads: vote first.</p>', elem_id="told")
        gr.Button("Who is preferred?", size="sm", elem_id="reveal", elem_classes="action").click(
            lambda: reveal(demo), None, told
        )
