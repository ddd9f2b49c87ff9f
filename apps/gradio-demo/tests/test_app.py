"""The page as a whole, without a browser: it can be laid out on any run, and asks nothing of the network."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
from pathlib import Path
from tunedassist_gradio_demo.app import build, launch_options
from tunedassist_gradio_demo.demo import open_demo
import gradio.analytics

run, domain, nothing = map(Path, sys.argv[1:])
whole = build(open_demo(run, model="http://127.0.0.1:9/v1", domain=domain))
options = launch_options()
theme = options.pop("theme")
print(json.dumps({
    "whole": json.dumps(whole.get_config_file(), default=str),
    "empty": json.dumps(build(open_demo(nothing)).get_config_file(), default=str),
    "analytics": [gradio.analytics.analytics_enabled(), whole.analytics_enabled],
    "fetched": [*theme._stylesheets, *theme._font_css],
    "options": options,
}))
"""


@pytest.fixture(scope="module")
def page(run, domain, tmp_path_factory):
    """In a process of its own: gradio leaves an event loop open for every page that is laid out."""
    nothing = tmp_path_factory.mktemp("runs") / "nothing"
    command = [sys.executable, "-c", PROGRAM, str(run), str(domain), str(nothing)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("label", ["Chat", "Compare", "Safety", "Evaluation", "Data", "Lineage"])
def test_every_tab_is_laid_out(page, label):
    for kind in ("whole", "empty"):
        assert f'"label": "{label}"' in page[kind]


def test_the_domains_attacks_are_offered(page):
    assert "Gives a command that wipes the disk" in page["whole"]


def test_an_empty_run_is_laid_out_with_what_to_do(page):
    for said in ("No model in", "just train", "A probe needs a model"):
        assert said in page["empty"]


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_kept(page):
    options = page["options"]
    assert page["fetched"] == []
    assert "http" not in options["css"] + options["head"]
    assert not options["run_history"]
    assert not options["share"]


def test_gradio_reports_nothing_home(page):
    assert page["analytics"] == [False, False]
