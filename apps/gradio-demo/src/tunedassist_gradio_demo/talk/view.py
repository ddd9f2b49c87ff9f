"""The conversation and its rails as HTML."""

import re
from collections.abc import Sequence

from ta_safety.events import RailEvent
from tunedassist_gradio_demo.look.markdown import Spans, plain, rendered
from tunedassist_gradio_demo.look.parts import WORDS, Html, chip, joined, notice, table, text
from tunedassist_gradio_demo.talk.turn import Turn, rail_lines

EMPTY = notice(
    "Ask something, or take one of the attacks below: each message shows which rails looked at it, what they "
    "found, and how long they took."
)


def conversation(turns: Sequence[Turn]) -> Html:
    """All messages, the rails of each below it."""
    if not turns:
        return EMPTY
    items = "".join(_question(turn) + _answer(turn, turn.left) for turn in turns)
    return Html(f'<ol class="talk" role="log" aria-live="polite" aria-label="Conversation">{items}</ol>')


def one_answer(turn: Turn) -> Html:
    """An answer without its question, with the rails of both."""
    return Html(f'<ol class="talk">{_answer(turn, turn.events)}</ol>')


def live(turn: Turn | None) -> Html:
    """The panel beside the conversation: every rail of the last message, while it comes and afterwards."""
    if turn is None:
        return Html('<p class="quiet">The rails of the last message appear here while it streams.</p>')
    lines = rail_lines(turn.events)
    rows = [
        (
            chip(line.action, WORDS[line.action]),
            line.rail,
            "question" if line.stage == "input" else "answer" if line.stage == "output" else line.stage,
            f"{line.score:.2f}",
            f"{line.threshold:.2f}",
            f"{line.ms:.1f}",
        )
        for line in lines
    ]
    total = sum(line.ms for line in lines)
    return joined(
        _progress(turn),
        table(("", "rail", "of the", "score", "from", "ms"), rows, numbers=(3, 4, 5)),
        f'<p class="quiet">{len(turn.events)} checks, {total:.1f} ms in all.</p>',
    )


def rail_chips(events: Sequence[RailEvent]) -> Html:
    """Chips of the rails that acted, and the whole account behind a disclosure."""
    lines = rail_lines(events)
    acted = [line for line in lines if line.action != "allow"]
    chips = "".join(
        chip(
            line.action,
            f"{line.rail} {WORDS[line.action]} · {line.score:.2f} ≥ {line.threshold:.2f} · {line.ms:.1f} ms",
        )
        for line in acted
    )
    quiet = len(lines) - len(acted)
    if quiet:
        chips += chip("allow", f"{quiet} rails passed")
    reasons = "".join(f"<li><b>{text(line.rail)}</b> {text(line.reason)}</li>" for line in acted if line.reason)
    return Html(
        f'<div class="rails">{chips}</div>' + (f'<ul class="reasons">{reasons}</ul>' if reasons else "")
    )


def _question(turn: Turn) -> str:
    said = plain(turn.question, _spans(turn.entered))
    chips = rail_chips(turn.entered) if turn.entered else ""
    return f'<li class="you"><p class="who">You</p><div class="said">{said}</div>{chips}</li>'


def _answer(turn: Turn, events: Sequence[RailEvent]) -> str:
    spans = [*_spans(turn.left), *_masks(turn)]
    body = rendered(turn.answer, spans) if turn.answer else ""
    if turn.state == "failed":
        body += notice(f"No answer: {turn.note}. Ask again in a moment.", kind="error")
    if turn.running:
        body += '<p class="waiting"><span class="dots" aria-hidden="true"></span>' + _waits_for(turn) + "</p>"
    if turn.state == "stopped":
        body += '<p class="quiet">Stopped.</p>'
    label = f'<p class="who">{text(turn.model)}</p>'
    if turn.state == "blocked" and not turn.left:
        label = f'<p class="who">Guard <span class="quiet">instead of {text(turn.model)}</span></p>'
    chips = rail_chips(events) if events else ""
    return f'<li class="it {turn.state}">{label}<div class="said">{body}</div>{chips}</li>'


def _waits_for(turn: Turn) -> str:
    return "thinking" if turn.state == "asked" else "the rails read along: text appears line by line"


def _progress(turn: Turn) -> Html:
    words = {
        "asked": "The question has passed; the model begins.",
        "answering": f"{turn.received} characters received, {len(turn.answer)} released by the rails.",
        "done": f"{turn.tokens} tokens in {turn.seconds:.1f} s.",
        "stopped": f"Stopped after {turn.seconds:.1f} s.",
        "blocked": f"Blocked by the rail {turn.blocked_by}.",
        "failed": "No answer.",
    }
    return Html(f'<p class="progress">{text(words[turn.state])}</p>')


def _spans(events: Sequence[RailEvent]) -> Spans:
    return [event.span for event in events if event.action != "allow"]


def _masks(turn: Turn) -> Spans:
    """Where the answer shows [EMAIL] and the like instead of what the model wrote."""
    kinds = {
        event.rule.upper().replace(" ", "_") for event in turn.left if event.action == "mask" and event.rule
    }
    if not kinds:
        return []
    found = re.finditer(r"\[(?:" + "|".join(map(re.escape, sorted(kinds))) + r")\]", turn.answer)
    return [match.span() for match in found]
