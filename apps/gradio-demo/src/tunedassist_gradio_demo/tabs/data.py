"""Data: what the doctor says of the dataset, and its conversations to leaf through."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from ta_data.doctor.config import DoctorConfig
from ta_data.doctor.diagnose import Diagnosis, diagnose
from ta_schemas import UserError, read_jsonl
from ta_schemas.rows import ConversationRow
from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.look.markdown import plain, rendered
from tunedassist_gradio_demo.look.parts import (
    Fact,
    Html,
    chip,
    facts,
    heading,
    joined,
    notice,
    table,
    tag,
    text,
)
from tunedassist_gradio_demo.reports import Missing, open_artifact
from tunedassist_gradio_demo.tabs import OnOpen

SHOWN = 10
SPLITS = ("train", "validation", "test")
EVERY = "all"
VERDICTS = {
    "blocked": "Blocked: training on this would fail, leak or mislead.",
    "warnings": "Can be trained on; look at the warnings.",
    "healthy": "Nothing found.",
}


def overview(demo: Demo) -> Html:
    """How many rows, of what."""
    try:
        metrics = open_artifact(demo.run, "dataset").manifest.metrics
    except Missing as missing:
        return missing.html
    rows: dict[str, int] = metrics["rows"]
    return facts(
        [
            *(Fact(f"{count:,}", name) for name, count in rows.items()),
            Fact(f"{metrics.get('tasks', 0):,}", "tasks", "paraphrases of one never cross the splits"),
            Fact(f"{metrics.get('dropped', 0):,}", "dropped", "each with its reason, in dropped.jsonl"),
        ]
    )


def doctor(demo: Demo) -> Html:
    """Run the doctor over every row, the benchmark held against it."""
    try:
        dataset = open_artifact(demo.run, "dataset")
        benchmark = (
            demo.domain_folder / demo.domain.benchmark if demo.domain_folder and demo.domain.benchmark else None
        )
        found = _diagnosis(dataset.path, dataset.digest, benchmark)
    except Missing as missing:
        return missing.html
    except UserError as error:
        return notice(str(error), kind="error")
    plain_form = found.as_json()
    rows = [
        (
            chip("block" if f["severity"] == "block" else "warn", f["severity"]),
            f["check"],
            f["means"],
            f["count"],
            f["fix"],
        )
        for f in plain_form["findings"]
    ]
    kind = "error" if found.blocked else "good" if not rows else "info"
    return joined(
        notice(VERDICTS[plain_form["verdict"]], kind=kind),
        table(("", "finding", "means", "rows", "what to do"), rows, numbers=(3,)),
    )


@lru_cache(maxsize=2)
def _diagnosis(dataset: Path, digest: str, benchmark: Path | None) -> Diagnosis:
    """By the dataset's digest: the same rows are looked at once."""
    return diagnose(dataset, DoctorConfig(), benchmarks=[benchmark] if benchmark else None)


def sample(demo: Demo, split: str, kind: str, words: str, page: float) -> Html:
    """A page of conversations."""
    try:
        file = open_artifact(demo.run, "dataset").file(f"{split}.jsonl")
        rows = [row for row in read_jsonl(file, ConversationRow) if _fits(row, kind, words)]
    except Missing as missing:
        return missing.html
    except UserError as error:
        return notice(str(error), kind="error")
    first = max(0, int(page) - 1) * SHOWN
    pages = max(1, -(-len(rows) // SHOWN))
    return joined(
        f'<p class="quiet">{len(rows):,} conversations; page {int(page)} of {pages}</p>',
        *(_conversation(row) for row in rows[first : first + SHOWN]),
    )


def _fits(row: ConversationRow, kind: str, words: str) -> bool:
    said = " ".join([row.id, *(message.content for message in row.messages)]).lower()
    return kind in (EVERY, row.kind) and words.strip().lower() in said


def _conversation(row: ConversationRow) -> Html:
    question = next((m.content for m in row.messages if m.role == "user"), row.id)
    said = "".join(
        f'<li class="{"you" if m.role == "user" else "it"}"><p class="who">{text(m.role)}</p>'
        f'<div class="said">{rendered(m.content) if m.role == "assistant" else plain(m.content)}</div></li>'
        for m in row.messages
    )
    where = f"{row.id} · {row.source}" + (f" · {row.license}" if row.license else "")
    return Html(
        f"<details class='item'><summary>{tag(row.kind)} {text(question)}</summary>"
        f'<ol class="talk">{said}</ol><p class="quiet">{text(where)}</p></details>'
    )


def build(demo: Demo) -> OnOpen:
    """The tab."""
    gr.HTML(heading("Data", "What it was tuned on."))
    rows = gr.HTML(elem_id="data-overview")
    gr.HTML("<h3>Doctor</h3>")
    told = gr.HTML(
        '<p class="quiet">Looks at every row for what makes a run fail, leak or learn the wrong thing.</p>',
        elem_id="doctor",
    )
    gr.Button("Run the doctor", size="sm", elem_id="run-doctor", elem_classes="action").click(
        lambda: doctor(demo), None, told
    )
    gr.HTML("<h3>Conversations</h3>")
    with gr.Row():
        split = gr.Dropdown(list(SPLITS), value="train", label="Split", min_width=140)
        kind = gr.Dropdown(
            [EVERY, "answer", "warn", "clarify", "out-of-scope"], value=EVERY, label="Kind", min_width=140
        )
        words = gr.Textbox(label="Contains", min_width=140, elem_id="data-contains")
        page = gr.Number(1, label="Page", precision=0, minimum=1, min_width=80)
    chosen: list[Any] = [split, kind, words, page]
    out = gr.HTML(elem_id="sample")
    for control in chosen[:3]:
        control.change(lambda: 1, None, page)
    gr.on(
        [control.change for control in chosen],
        lambda *values: sample(demo, *values),
        chosen,
        out,
        show_progress="hidden",
    )
    return [(lambda: overview(demo), rows), (lambda: sample(demo, "train", EVERY, "", 1), out)]
