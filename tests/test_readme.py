"""The documentation does not drift: commands, recipes, exit codes and the file tree are checked."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ta_schemas.errors import ArtifactError, GateError, InputError, SetupError, Stopped
from tunedassist_cli.exit_codes import EXIT_CODES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
JUSTFILE = (ROOT / "Justfile").read_text(encoding="utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", README, flags=re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_the_first_two_commands_are_the_main_job_and_the_tests() -> None:
    assert [c for c in commands() if c.startswith("uv run just")][:2] == [
        "uv run just train",
        "uv run just test",
    ]


@pytest.mark.parametrize("command", [c for c in commands() if "just " in c])
def test_every_just_recipe_of_the_readme_exists(command: str) -> None:
    words = shlex.split(command)
    recipe = words[words.index("just") + 1]
    assert re.search(rf"^{re.escape(recipe)}\b", JUSTFILE, flags=re.M), recipe


@pytest.mark.parametrize("command", sorted({c for c in commands() if " tunedassist " in f" {c} "}))
def test_every_option_of_the_readme_exists(command: str) -> None:
    words = shlex.split(command)
    arguments = words[words.index("tunedassist") + 1 :]
    path = []
    for word in arguments:
        if word.startswith("-") or "/" in word or len(path) == (2 if path and path[0] in STAGES else 1):
            break
        path.append(word)
    done = subprocess.run(
        [sys.executable, "-c", "from tunedassist_cli.main import main; main()", *path, "--help"],
        capture_output=True,
        text=True,
        env={"COLUMNS": "300", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for option in (word.split("=")[0] for word in arguments if word.startswith("--")):
        assert option in done.stdout, f"{option} is no option of {' '.join(path)}"


STAGES = {"data", "train", "eval", "safety", "serve"}


def test_the_file_tree_names_only_what_exists_and_every_member() -> None:
    tree = re.search(r"```text\n(.*?)```", README, flags=re.S)
    assert tree
    folder: list[str] = []
    for line in tree[1].splitlines():
        if not line.strip():
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folder = [*folder[:depth], name.rstrip("/")]
        assert (ROOT / "/".join(folder)).exists(), "/".join(folder)
        assert len(line.split(None, 1)) == 2, f"{name} has no caption"
    for member in [*ROOT.glob("packages/*"), *ROOT.glob("apps/*")]:
        assert f"{member.name}/" in tree[1]


def test_the_exit_codes_are_those_of_the_errors() -> None:
    for error in (InputError, ArtifactError, SetupError, GateError, Stopped):
        assert error.exit_code in EXIT_CODES


def test_top_level_holds_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    allowed = {
        "packages",
        "apps",
        "data",
        "tests",
        "pyproject.toml",
        "uv.lock",
        "Justfile",
        "README.md",
        "LICENSE",
    }
    assert {name for name in top if not name.startswith(".")} <= allowed
