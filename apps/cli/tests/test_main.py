import json
import subprocess
import sys

import pytest

from ta_schemas import errors
from tunedassist_cli import pipeline
from tunedassist_cli.exit_codes import EXIT_CODES
from tunedassist_cli.stages import STAGES

HEAVY = {"torch", "transformers", "gradio", "nemoguardrails", "openai", "pydantic", "numpy", "datasets"}


def run_apart(*arguments):
    """Run the command line in a process of its own; gives its exit code, output and loaded modules."""
    script = (
        "import json, sys\n"
        f"sys.argv = ['tunedassist', *{list(arguments)!r}]\n"
        "from tunedassist_cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print('MODULES', json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    modules = json.loads(done.stderr.partition("MODULES ")[2])
    return done.returncode, done.stdout, {name.partition(".")[0] for name in modules}


def test_help_lists_every_stage_and_command_and_loads_nothing_heavy():
    code, printed, modules = run_apart("--help")
    assert code == 0
    for name in (*STAGES, "run", "chat", "exit-codes", "Exit codes"):
        assert name in printed
    assert not modules & HEAVY
    assert not modules & {stage.package for stage in STAGES.values()}


def test_a_stage_is_loaded_alone_when_it_is_asked_for():
    code, printed, modules = run_apart("data", "prepare", "--help")
    assert code == 0
    assert "tunedassist data prepare" in printed
    assert "ta_data" in modules
    assert not modules & {"ta_train", "ta_eval", "ta_serve"}


@pytest.mark.parametrize("command", [("data", "prepare"), ("train", "sft"), ("eval", "run"), ("serve", "chat")])
def test_the_commands_of_the_stages_are_mounted(tunedassist, command):
    code, printed, _ = tunedassist(*command, "--help")
    assert code == 0
    assert f"tunedassist {' '.join(command)}" in printed


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_not_installed_is_still_listed_and_says_how_to_install_it(
    tunedassist, monkeypatch, stage
):
    monkeypatch.setitem(sys.modules, f"{STAGES[stage].package}.cli", None)
    monkeypatch.setitem(sys.modules, STAGES[stage].package, None)
    assert stage in tunedassist("--help")[1]
    code, _, told = tunedassist(stage, "anything")
    assert code == 5
    assert told == f"error: the stage {stage!r} is not installed: install tunedassist-cli[{stage}]\n"


def test_a_stage_that_lacks_a_library_names_it(tunedassist, monkeypatch):
    monkeypatch.delitem(sys.modules, "ta_data.cli", raising=False)
    monkeypatch.delitem(sys.modules, "ta_data.config", raising=False)
    monkeypatch.setitem(sys.modules, "ta_data.config", None)
    code, _, told = tunedassist("data", "prepare", "--help")
    assert code == 5
    assert "install tunedassist-cli[data]" in told


def test_the_pipeline_says_which_stage_is_not_installed(tunedassist, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ta_eval", None)
    for name in [name for name in sys.modules if name.startswith("ta_eval.")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, told = tunedassist("run", tmp_path, "--out", tmp_path / "out")
    assert code == 5
    assert "install tunedassist-cli[eval]" in told


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("chta",), "Did you mean 'chat'"),
        (("dta", "prepare"), "Did you mean 'data'"),
        (("run", "linux-cli", "--forse"), "--force"),
        (("data", "prepare", "x", "--sead", "3"), "--seed"),
        (("data", "prepar"), "Did you mean 'prepare'"),
    ],
)
def test_a_mistyped_command_or_option_suggests_the_nearest_in_one_line(tunedassist, arguments, hint):
    code, printed, told = tunedassist(*arguments)
    assert (code, printed) == (2, "")
    assert hint in told
    assert told.startswith("error: ")
    assert told.count("\n") == 1


def test_a_missing_argument_is_one_line(tunedassist):
    code, _, told = tunedassist("run")
    assert code == 2
    assert told == "error: Missing argument 'domain'. (see tunedassist run --help)\n"


def test_no_command_shows_the_help(tunedassist):
    assert "exit-codes" in "".join(map(str, tunedassist()))
    assert "prepare" in "".join(map(str, tunedassist("data")))


def test_exit_codes_are_those_of_the_errors(tunedassist):
    table = {
        int(code): text
        for code, text in (
            (part.strip() for part in line.strip("| ").split("|"))
            for line in (errors.__doc__ or "").splitlines()
            if line.startswith("| ") and line[2].isdigit()
        )
    }
    assert table == EXIT_CODES
    for error in (errors.InputError, errors.ArtifactError, errors.SetupError, errors.GateError):
        assert error.exit_code in EXIT_CODES
    code, printed, _ = tunedassist("exit-codes")
    assert code == 0
    assert all(text in printed for text in EXIT_CODES.values())
    assert json.loads(tunedassist("exit-codes", "--json")[1]) == {str(c): t for c, t in EXIT_CODES.items()}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("wrong\nline"), 3),
        (errors.ArtifactError("wrong line"), 4),
        (errors.SetupError("wrong line"), 5),
        (errors.GateError("wrong line"), 6),
    ],
)
def test_an_expected_error_is_one_line_and_its_code(tunedassist, monkeypatch, error, code):
    def fail(_):
        raise error

    monkeypatch.setattr(pipeline, "find_domain", fail)
    assert tunedassist("run", "x") == (code, "", "error: wrong line\n")


def test_ctrl_c_is_130_and_says_how_to_go_on(tunedassist, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "find_domain", stop)
    code, _, told = tunedassist("run", "x")
    assert code == 130
    assert "run the same command again" in told
    assert told.count("\n") == 1


def test_a_bug_keeps_its_traceback(monkeypatch):
    from tunedassist_cli.main import main

    def fail(_):
        return 1 // 0

    monkeypatch.setattr(pipeline, "find_domain", fail)
    monkeypatch.setattr(sys, "argv", ["tunedassist", "run", "x"])
    with pytest.raises(ZeroDivisionError) as bug:
        main()
    assert any(entry.name == "fail" for entry in bug.traceback)
