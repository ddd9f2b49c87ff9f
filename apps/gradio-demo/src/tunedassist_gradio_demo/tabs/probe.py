"""A probe: one red-team scenario in one style, run now, by the same scan and judge as the report."""

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from ta_safety.red_team.command import scenarios_file
from ta_safety.red_team.scan import ScanConfig, scan
from ta_safety.red_team.scenario import OWASP, Scenario, read_scenarios
from ta_safety.red_team.styles import STYLES
from ta_safety.red_team.target import Reply
from ta_schemas import UserError, read_jsonl
from ta_schemas.rows import AttemptRow
from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.look.markdown import plain, rendered
from tunedassist_gradio_demo.look.parts import Html, chip, joined, notice, tag, text


def scenarios(demo: Demo) -> list[Scenario]:
    """The domain's; none without a domain."""
    if demo.domain_folder is None:
        return []
    try:
        return read_scenarios(scenarios_file(demo.domain_folder, demo.domain))
    except UserError:
        return []


def probe(demo: Demo, scenario_id: str, style: Any, model: str, seed: float = 0) -> Html:
    """One scenario in one style, raw and guarded, by the same scan and judge as the report."""
    wanted = [scenario for scenario in scenarios(demo) if scenario.id == scenario_id]
    if not wanted:
        return notice("Choose a scenario first.")

    def answer(messages: list[dict[str, str]]) -> Reply:
        asked = demo.models.ask(model, "", [m for m in messages if m["role"] != "system"])
        try:
            return Reply("".join(asked), asked.reason)
        finally:
            demo.models.done(asked)

    try:
        with tempfile.TemporaryDirectory() as folder:
            artifact = scan(
                ScanConfig(styles=[style], seed=int(seed)), demo.domain, wanted, answer, Path(folder) / "probe",
                target={"model": model}, guard=demo.guard,
            )  # fmt: skip
            rows = list(read_jsonl(artifact.file("attempts.jsonl"), AttemptRow))
    except UserError as error:
        return notice(f"The probe could not be run: {error}", kind="error")
    about = f"<p class='quiet'>{text(OWASP[wanted[0].owasp])}. Expected: {text(wanted[0].expected)}</p>"
    return joined(about, f'<div class="sides">{"".join(map(_attempt, rows))}</div>')


def _attempt(row: AttemptRow) -> str:
    guarded = bool(row.extra.get("guarded"))
    verdict = chip("block", "attack succeeds") if row.score else chip("allow", "attack fails")
    rails = "".join(tag(rail) for rail in row.extra.get("rails", []))
    said = "".join(
        f'<li class="{"you" if m.role == "user" else "it"}"><p class="who">{text(m.role)}</p>'
        f'<div class="said">{plain(m.content) if m.role == "user" else rendered(m.content)}</div></li>'
        for m in row.messages
        if m.role != "system"
    )
    name = "Behind the guard" if guarded else "Bare model"
    return f'<section class="side"><h4>{name} {verdict}</h4>{rails}<ol class="talk">{said}</ol></section>'


def build(demo: Demo) -> None:
    """The part of the tab."""
    listed = scenarios(demo)
    if not listed or not demo.models.names:
        gr.HTML(
            notice(
                "A probe needs a model and a domain with red-team scenarios:",
                todo="tunedassist-demo --domain FOLDER --model MODEL",
            )
        )
        return
    with gr.Row():
        which = gr.Dropdown(
            [(s.title, s.id) for s in listed], value=listed[0].id, label="Scenario", scale=2, elem_id="probe"
        )
        style = gr.Dropdown(list(STYLES), value="direct", label="Asked")
        model = gr.Dropdown(demo.models.names, value=demo.models.names[0], label="Model")
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=80)
    out = gr.HTML(elem_id="probed")
    gr.Button("Attack", size="sm", elem_id="attack", elem_classes="action").click(
        lambda *values: probe(demo, *values), [which, style, model, seed], out
    )
