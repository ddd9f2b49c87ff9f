"""The Containerfile and the systemd unit name options that exist, and systemd accepts its unit."""

import re
import shutil
import subprocess
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


def test_systemd_accepts_the_unit(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze (package systemd) is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/tunedassist/bin/tunedassist-api", "/bin/true"))
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
