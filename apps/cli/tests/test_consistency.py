"""All commands of all stages: help that teaches, one name a thing, JSON, completion, no colour in pipes."""

import os
import re
import subprocess
import sys
from functools import cache

import pytest
from typer.main import get_command

from tunedassist_cli.main import app
from tunedassist_cli.release.registry_cli import registry_app
from tunedassist_cli.stages import STAGES, load_stage

PRINTS_OBJECTS_ANYWAY = {
    "data diff", "data explain", "data forget", "data croissant", "data feedback", "data pairs", "data augment",
    "eval ab status", "eval harness probe",
}  # fmt: skip
"""Their only output is JSON, with or without an option."""
READS_AND_WRITES_LINES = {
    "data collect", "data filter", "data pii", "data dedup", "data decontaminate", "data shards",
    "eval equivalent", "safety detect", "safety check", "safety shell", "train keys",
}  # fmt: skip
"""Filters in a pipe: rows on stdout, a summary in a file or on stderr."""
STARTS_A_PROGRAM = {"train launch", "eval ab serve", "eval ab vote", "safety garak", "serve ollama", "new"}
WITHOUT_JSON = {"eval ab create", "eval ab analyze", "eval harness tasks", "safety scope", "safety feedback"}
"""Results that a script must read from the file at --out; to be mended in their stages."""

WITHOUT_EXAMPLE = {
    "train recipes", "train keys", "eval ab status", "eval ab analyze",
    *(f"{group} {verb}" for group in ("registry", "train registry")
      for verb in ("list", "show", "compare", "verify", "remove")),
}  # fmt: skip
"""To be mended in ta-train and ta-eval."""

PIPED = {"data filter", "data pii", "data dedup", "data decontaminate", "eval equivalent"}
"""Their examples begin with another command."""

OTHER_NAMES = {
    "--output": "--out", "-o": "--out", "--output-dir": "--out", "--overwrite": "--force",
    "--random-seed": "--seed",
    "--max-new-tokens": "--max-tokens", "--max-items": "--limit", "--n": "--limit", "--temp": "--temperature",
    "--endpoint": "--base-url", "--server": "--base-url", "--key-env": "--api-key-env",
    "--key-variable": "--api-key-env", "--price-in": "--input-price", "--price-out": "--output-price",
    "--timeout": "--timeout-s", "--deadline": "--deadline-s",
}  # fmt: skip
KEPT_FOR_NOW = {
    ("data augment", "--key-variable"), ("data augment", "--price-in"), ("data augment", "--price-out"),
    ("data augment", "--timeout"), ("data collect", "--timeout"),
}  # fmt: skip
"""To be mended in ta-data."""

SAME_TYPE = {
    "--out": {"Path", "str"}, "--force": {"bool"}, "--json": {"bool"}, "--seed": {"int"}, "--limit": {"int"},
    "--max-tokens": {"int"}, "--temperature": {"float"}, "--timeout-s": {"float"}, "--concurrency": {"int"},
    "--config": {"Path"}, "--base-url": {"str"}, "--api-key-env": {"str"}, "--registry": {"Path"},
}  # fmt: skip


def walk(command, path=()):
    """Every command below a group with its words."""
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, below in command.commands.items():
        if not path and name in STAGES:
            below = load_stage(name)
        if not path and name == "registry":
            below = registry_app()
        yield from walk(below, (*path, name))


@cache
def commands():
    return dict(walk(get_command(app)))


def options(command):
    """Name: the type of its value."""
    return {
        name: getattr(one.type_descriptor.annotation, "__name__", "")
        for one in command.params
        if one.param_type_name == "option"
        for name in one.opts
    }


def test_every_stage_and_every_group_is_looked_at():
    groups = {name.split()[0] for name in commands()}
    assert set(STAGES) | {"registry", "run", "chat", "release", "lineage", "doctor"} <= groups
    assert len(commands()) > 70


def test_every_command_says_what_it_does_and_shows_an_example():
    without = {name for name, command in commands().items() if "Example" not in (command.help or "")}
    assert without <= WITHOUT_EXAMPLE


def test_every_option_is_explained():
    silent = {
        f"{name} {one.opts[0]}"
        for name, command in commands().items()
        for one in command.params
        if one.param_type_name == "option" and not one.help and one.opts[0] != "--help"
    }
    assert silent == set()


def test_an_example_names_only_options_that_exist():
    wrong = []
    for name, command in commands().items():
        if name == "train launch":
            continue  # what follows is another command with its options
        known = {*options(command), "--help"}
        for example in re.findall(r"Example:\s+`?(.*?)(?:`|\n\n|$)", command.help or "", flags=re.S):
            own = re.split(r"\||&&| -- ", example)[-1 if name in PIPED else 0]
            wrong += [f"{name}: {one}" for one in re.findall(r"(?<!\S)--[a-z][\w-]*", own) if one not in known]
    assert wrong == []


def test_what_makes_a_result_can_give_it_as_json():
    without = {name for name, command in commands().items() if "--json" not in options(command)}
    assert without <= PRINTS_OBJECTS_ANYWAY | READS_AND_WRITES_LINES | STARTS_A_PROGRAM | WITHOUT_JSON


def test_one_thing_has_one_name_in_all_stages():
    other = {
        (name, one) for name, command in commands().items() for one in options(command) if one in OTHER_NAMES
    }
    assert other <= KEPT_FOR_NOW


@pytest.mark.parametrize("option", SAME_TYPE)
def test_an_option_of_one_name_has_one_type(option):
    types = {options(command)[option] for command in commands().values() if option in options(command)}
    assert types, f"no command has {option}"
    assert types <= SAME_TYPE[option]


def shell(*arguments, **environment):
    """The command line as a process whose output is a pipe."""
    program = "from tunedassist_cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    )


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("rel", "release"),
        ("data pre", "prepare"),
        ("registry roll", "rollback"),
        ("release --cha", "--champion"),
    ],
)
def test_the_shell_completes_commands_of_all_stages_and_options(typed, completed):
    words = f"tunedassist {typed}"
    done = shell(
        _TUNEDASSIST_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1)
    )
    assert completed in done.stdout.split()


def test_the_completion_script_is_printed_for_a_shell():
    done = shell("--show-completion", "zsh", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0, done.stderr
    assert "_TUNEDASSIST_COMPLETE=complete_zsh" in done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("doctor",), ("exit-codes",), ("release", "no-such-run")])
def test_no_colour_goes_into_a_pipe(arguments):
    done = shell(*arguments)
    assert "\x1b" not in done.stdout + done.stderr
