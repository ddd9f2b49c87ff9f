"""What the packages may load: the command line stays light, the stages never meet in Python."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "transformers", "gradio", "nemoguardrails", "trl", "peft", "datasets", "openai", "numpy"}


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def running(module: str, *arguments: str) -> str:
    return (
        f"import sys; sys.argv = ['x', *{list(arguments)!r}]\n"
        f"from {module} import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )


def test_tunedassist_help_loads_no_heavy_library_and_no_stage() -> None:
    loaded = modules_after(running("tunedassist_cli.main", "--help"))
    assert not loaded & HEAVY
    assert not loaded & {"ta_data", "ta_train", "ta_eval", "ta_safety", "ta_serve", "pydantic"}


@pytest.mark.parametrize("stage", ["ta_data", "ta_train", "ta_eval", "ta_safety", "ta_serve"])
def test_the_help_of_a_stage_loads_no_heavy_library(stage: str) -> None:
    assert not modules_after(running(f"{stage}.cli", "--help")) & HEAVY


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def members() -> list[Path]:
    return sorted([*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("apps/*/pyproject.toml")])


@pytest.mark.parametrize("file", members(), ids=lambda f: f.parent.name)
def test_every_third_party_dependency_has_a_lower_bound(file: Path) -> None:
    project = tomllib.loads(file.read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    for requirement in [*project["dependencies"], *(r for extra in extras for r in extra)]:
        if not requirement.startswith(("ta-", "tunedassist")):
            assert ">=" in requirement or "==" in requirement, requirement


@pytest.mark.parametrize("file", members(), ids=lambda f: f.parent.name)
def test_no_stage_depends_on_another_stage(file: Path) -> None:
    project = tomllib.loads(file.read_text())["project"]
    own = [r.split("[")[0] for r in project["dependencies"] if r.startswith("ta-")]
    if file.parent.parent.name == "packages":
        assert set(own) <= {"ta-schemas"}


FLOORS = {
    "torch": (2, 13),
    "transformers": (5, 17),
    "trl": (1, 14, 2),
    "peft": (0, 21),
    "datasets": (4, 8, 5),
    "garak": (0, 17, 1),
    "ragas": (0, 4, 3),
    "unsloth": (2026, 10, 7),
    "vllm": (0, 32),
    "nemoguardrails": (0, 24, 1),
    "lm-eval": (0, 4, 13),
    "openai": (2, 25),
    "llama-cpp-python": (0, 3, 36),
}


@pytest.mark.parametrize("name", FLOORS)
def test_the_lock_holds_no_silent_fall_back_to_an_old_version(name: str) -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    versions = [p["version"] for p in packages if p["name"] == name]
    assert versions
    for version in versions:
        assert tuple(int(part) for part in version.split(".")) >= FLOORS[name]


def test_the_version_of_trl_that_cannot_train_on_a_cpu_is_not_locked() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    assert "1.15.0" not in [p["version"] for p in packages if p["name"] == "trl"]


def test_conflicting_extras_are_declared() -> None:
    conflicts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["conflicts"]
    exclusive = {(entry["package"], entry["extra"]) for entry in conflicts[0]}
    assert {("ta-train", "unsloth"), ("ta-safety", "garak"), ("ta-serve", "vllm")} <= exclusive
