"""The page: a header and six tabs, each from its own file."""

import os
from importlib.resources import files
from types import ModuleType
from typing import Any

from tunedassist_gradio_demo.demo import Demo
from tunedassist_gradio_demo.look.parts import Html, text

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
import gradio as gr

from tunedassist_gradio_demo.look.theme import theme
from tunedassist_gradio_demo.tabs import OnOpen, chat, compare, data, evaluation, lineage, safety

TABS: tuple[tuple[str, ModuleType], ...] = (
    ("Chat", chat),
    ("Compare", compare),
    ("Safety", safety),
    ("Evaluation", evaluation),
    ("Data", data),
    ("Lineage", lineage),
)


def build(demo: Demo) -> gr.Blocks:
    """Lay the page out."""
    page = gr.Blocks(title=f"TunedAssist · {demo.name}", analytics_enabled=False)
    with page:
        with gr.Row(elem_id="top"):
            gr.HTML(_header(demo))
            gr.Button("Light / dark", size="sm", elem_id="shade", min_width=110, scale=0).click(
                None, None, None, js="() => { document.body.classList.toggle('dark') }"
            )
        with gr.Tabs(overflow_behavior="wrap"):
            for label, tab in TABS:
                with gr.Tab(label, id=label.lower()) as opened:
                    on_open: OnOpen = tab.build(demo)
                for show, place in on_open:
                    opened.select(show, None, place)
    return page


def launch_options() -> dict[str, Any]:
    """What `Blocks.launch` is told besides the address: nothing is loaded from elsewhere, nothing is kept."""
    own = files("tunedassist_gradio_demo").joinpath("look")
    return {
        "theme": theme(),
        "css": own.joinpath("style.css").read_text(encoding="utf-8"),
        "head": f"<script>{own.joinpath('keys.js').read_text(encoding='utf-8')}</script>",
        "footer_links": [],
        "run_history": False,  # it would keep conversations in the browser
        "enable_monitoring": False,
        "show_error": True,
        "share": False,
        "quiet": True,
    }


def _header(demo: Demo) -> Html:
    rails = f"rails of {demo.domain.name}" if demo.domain_folder else "default rails"
    return Html(f"<h1>TunedAssist</h1><p>{text(demo.name)} · {text(rails)}</p>")
