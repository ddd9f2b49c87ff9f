import os
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def tunedassist(monkeypatch, capfd):
    """The command line in this process: gives exit code, stdout, stderr."""

    def call(*arguments):
        from tunedassist_cli.main import main

        monkeypatch.setattr(sys, "argv", ["tunedassist", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capfd.readouterr()
        return left.value.code or 0, out, err

    return call


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    from cli_fixtures import make_base_model

    return make_base_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def recipe(base, tmp_path_factory):
    from cli_fixtures import make_recipe

    return make_recipe(tmp_path_factory.mktemp("recipes") / "tiny.yaml", base)


@pytest.fixture(scope="session")
def finished(recipe, tmp_path_factory):
    """A domain and a finished run over it: (domain, out). Do not write into them."""
    from cli_fixtures import make_domain

    from tunedassist_cli.pipeline import run

    domain = make_domain(tmp_path_factory.mktemp("data") / "tiny-domain")
    out = tmp_path_factory.mktemp("runs") / "tiny"
    run(domain, out, recipe=str(recipe))
    return domain, out
