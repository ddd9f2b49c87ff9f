import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def joined():
    """No server outlives the tests."""
    from api_fixtures import stopping

    yield
    for thread in stopping:
        thread.join()


@pytest.fixture
def start():
    """Starts servers that stop with the test: `url, service = start(engine, option=…)`."""
    from api_fixtures import running_server

    with ExitStack() as stack:

        def begin(engine, **options):
            url, service, server = stack.enter_context(running_server(engine, **options))
            service.server = server
            return url, service

        yield begin


@pytest.fixture(scope="module")
def tiny():
    """One server for a whole file: (URL, service). Do not stop it."""
    from api_fixtures import running_server
    from word_engine import WordEngine

    with running_server(WordEngine()) as (url, service, _):
        yield url, service


@pytest.fixture
def url(tiny):
    return tiny[0]
