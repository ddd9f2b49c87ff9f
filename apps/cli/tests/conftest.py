import os
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def close_what_llama_cpp_leaves_open():
    """It opens /dev/null twice when it is imported; unclosed at the end, warnings being errors, they'd fail."""
    yield
    utils = sys.modules.get("llama_cpp._utils")
    if utils is not None:
        utils.outnull_file.close()
        utils.errnull_file.close()


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


@pytest.fixture(scope="session")
def sealed_run(tmp_path_factory):
    """A domain and a run over it that a release's gate lets pass: a folder with data/tiny and runs/tiny."""
    from release_fixtures import make_release_domain, make_run

    place = tmp_path_factory.mktemp("release")
    make_run(make_release_domain(place / "data" / "tiny"), place / "runs" / "tiny")
    return place


@pytest.fixture
def workplace(sealed_run, tmp_path, monkeypatch):
    """A copy of it to change, as the current folder."""
    import shutil

    place = tmp_path / "work"
    shutil.copytree(sealed_run, place)
    monkeypatch.chdir(place)
    return place
