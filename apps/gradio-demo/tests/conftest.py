import os
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def domain(tmp_path_factory):
    from small_run import make_domain

    return make_domain(tmp_path_factory.mktemp("domain") / "tiny")


@pytest.fixture(scope="session")
def run(tmp_path_factory, domain):
    """Read it, don't write to it."""
    from small_run import make_run

    return make_run(tmp_path_factory.mktemp("runs") / "tiny", domain)


@pytest.fixture
def server():
    from scripted_server import scripted_server

    with scripted_server() as running:
        yield running


@pytest.fixture
def demo(server, run, domain, tmp_path):
    """A demo over the scripted server; feedback and votes go to the test's own folder."""
    from tunedassist_gradio_demo.demo import open_demo

    opened = open_demo(
        run, model=server.url, domain=domain, feedback=tmp_path / "feedback.jsonl", votes=tmp_path / "ab"
    )
    yield opened
    opened.models.close()
