"""Every question of an evaluation with the answers of all systems, filtered, a page at a time."""

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from ta_eval.systems import read_artifact
from ta_schemas import Artifact, ArtifactError, UserError
from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.look.markdown import rendered
from tunedassist_gradio_demo.look.parts import Html, chip, joined, notice, text
from tunedassist_gradio_demo.run_folder import WHOLE

SHOWN = 12
"""Items on a page."""
OUTCOMES = ("all", "only tuned right", "only base right", "both right", "both wrong")
EVERY = "all"


class Item(NamedTuple):
    """A question with the answers and scores of all systems."""

    id: str
    category: str
    question: str
    references: list[str]
    answers: dict[str, tuple[str, float | None, str]]
    """System: answer, score, why."""


def item_sets(demo: Demo) -> dict[str, list[Path]]:
    """Item set: the predictions of all systems on it, base and tuned first."""
    found: dict[str, list[Path]] = {}
    folders = (demo.run / "predictions", demo.run / WHOLE / "predictions")
    for file in sorted((m for f in folders for m in f.glob("*/manifest.json")), key=_base_first):
        try:
            config = Artifact.open(file.parent, verify=False).manifest.config
        except ArtifactError:
            continue  # said in the lineage
        found.setdefault(str(config.get("benchmark", {}).get("name", "answers")), []).append(file.parent)
    return found


def _base_first(manifest: Path) -> tuple[int, str]:
    first = ("base", "tuned")
    system = manifest.parent.name.partition("-")[0]
    return (first.index(system) if system in first else len(first), manifest.parent.name)


def read_items(demo: Demo, item_set: str) -> list[Item]:
    """All items of a set. Raises UserError where an artifact is damaged."""
    systems = [read_artifact(folder) for folder in item_sets(demo).get(item_set, [])]
    if not systems:
        return []
    return [
        Item(
            row.id, row.category, row.messages[-1].content, row.references,
            {
                s.name: (s.outputs[row.id].output, s.scores[row.id].score, s.scores[row.id].reason)
                for s in systems
                if row.id in s.outputs
            },
        )
        for row in systems[0].rows
    ]  # fmt: skip


def browse(demo: Demo, item_set: str, outcome: str, category: str, words: str, page: float) -> Html:
    """A page of the items that fit."""
    try:
        items = read_items(demo, item_set)
    except UserError as error:
        return notice(str(error), todo="just train", kind="error")
    if not items:
        return notice(f"No answers in {demo.run / 'predictions'} yet. Make them with:", todo="just train")
    fitting = [item for item in items if _fits(item, outcome, category, words)]
    first = max(0, int(page) - 1) * SHOWN
    said = f"{len(fitting)} of {len(items)} questions; page {int(page)} of {max(1, -(-len(fitting) // SHOWN))}"
    return joined(f'<p class="quiet">{said}</p>', *(_item(item) for item in fitting[first : first + SHOWN]))


def _fits(item: Item, outcome: str, category: str, words: str) -> bool:
    if category not in (EVERY, item.category):
        return False
    everything = " ".join([item.id, item.question, *(answer for answer, _, _ in item.answers.values())])
    if words.strip() and words.strip().lower() not in everything.lower():
        return False
    right = {name: (score or 0) >= 0.5 for name, (_, score, _) in item.answers.items()}
    base, tuned = right.get("base", False), right.get("tuned", False)
    return {
        "only tuned right": tuned and not base,
        "only base right": base and not tuned,
        "both right": base and tuned,
        "both wrong": not base and not tuned,
    }.get(outcome, True)


def _item(item: Item) -> Html:
    sides = "".join(
        f'<section class="side"><h4>{text(name)} '
        + (chip("allow", "right") if (score or 0) >= 0.5 else chip("block", "wrong"))
        + f'</h4><div class="said">{rendered(answer)}</div><p class="quiet">{text(reason)}</p></section>'
        for name, (answer, score, reason) in item.answers.items()
    )
    accepted = "".join(f"<code>{text(one)}</code> " for one in item.references[:4])
    known = f'<p class="quiet">Accepted: {accepted}</p>' if accepted else ""
    return Html(
        f'<details class="item"><summary><span class="tag">{text(item.category)}</span> {text(item.question)}'
        f"{_outcome(item)}</summary><div class='sides'>{sides}</div>{known}</details>"
    )


def _outcome(item: Item) -> str:
    signs = (
        f"{text(name)} {'✓' if (score or 0) >= 0.5 else '✕'}" for name, (_, score, _) in item.answers.items()
    )
    return f'<span class="outcome">{" · ".join(signs)}</span>'


def categories(demo: Demo, item_set: str) -> list[str]:
    """Of a set, for the filter."""
    try:
        return [EVERY, *sorted({item.category for item in read_items(demo, item_set)})]
    except UserError:
        return [EVERY]


def build(demo: Demo) -> None:
    """The part of the tab."""
    sets = list(item_sets(demo))
    if not sets:
        gr.HTML(notice(f"No answers in {demo.run / 'predictions'} yet. Make them with:", todo="just train"))
        return
    with gr.Row():
        which = gr.Dropdown(sets, value=sets[0], label="Item set", min_width=140)
        outcome = gr.Dropdown(list(OUTCOMES), value=EVERY, label="Outcome", elem_id="outcome", min_width=140)
        category = gr.Dropdown(categories(demo, sets[0]), value=EVERY, label="Category", min_width=140)
        words = gr.Textbox(label="Contains", elem_id="contains", min_width=140)
        page = gr.Number(1, label="Page", precision=0, minimum=1, min_width=80)
    chosen: list[Any] = [which, outcome, category, words, page]
    out = gr.HTML(browse(demo, sets[0], EVERY, EVERY, "", 1), elem_id="items")
    which.change(lambda name: gr.update(choices=categories(demo, name), value=EVERY), which, category)
    for control in chosen[:4]:
        control.change(lambda: 1, None, page)
    gr.on(
        [control.change for control in chosen],
        lambda *values: browse(demo, *values),
        chosen,
        out,
        show_progress="hidden",
    )
