"""`.env.example` names every variable that the code reads, and no other."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / ".env.example"
LIBRARIES = "read by the libraries"
UPPER = re.compile(r"[A-Z][A-Z0-9_]{2,}")

pytestmark = pytest.mark.skipif(not EXAMPLE.is_file(), reason="only in a checkout")


@cache
def texts():
    """Every source file of the workspace."""
    files = sorted([*ROOT.glob("packages/*/src/**/*.py"), *ROOT.glob("apps/*/src/**/*.py")])
    return [file.read_text(encoding="utf-8") for file in files]


def constant(name):
    """The strings that a constant of this name holds, in any module, or that an option of it has as default."""
    pattern = rf'^{name} = "([^"]+)"' if name.isupper() else rf'\b{name}: [^=]*?= "([^"]+)"'
    holding = [text for text in texts() if name in text]
    return {found for text in holding for found in re.findall(pattern, text, flags=re.M)}


def is_environment(node):
    return isinstance(node, ast.Attribute) and node.attr == "environ"


def names_read(tree):
    """The expressions that name a variable in `os.environ[…]`, `.get(…)`, `getenv(…)` and `… in os.environ`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and is_environment(node.value) and isinstance(node.ctx, ast.Load):
            yield node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = node.func
            if called.attr == "getenv" or (called.attr == "get" and is_environment(called.value)):
                yield node.args[0]
        elif isinstance(node, ast.Compare) and any(is_environment(one) for one in node.comparators):
            yield node.left


def looped_over(tree):
    """Name of a loop's variable: the strings it goes over."""
    return {
        name.id: strings(node.iter)
        for node in ast.walk(tree)
        if isinstance(node, ast.For)
        for name in ast.walk(node.target)
        if isinstance(name, ast.Name)
    }


@cache
def read_by_the_code():
    """Names of variables."""
    found = set()
    for text in texts():
        if "environ" not in text and "getenv" not in text:
            continue
        tree = ast.parse(text)
        loops = looped_over(tree)
        for expression in names_read(tree):
            found |= strings(expression)
            for name in (one.id for one in ast.walk(expression) if isinstance(one, ast.Name)):
                found |= loops.get(name) or constant(name)
    return {name for name in found if UPPER.fullmatch(name)}


def strings(tree):
    return {one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def in_the_example():
    ours, libraries = EXAMPLE.read_text(encoding="utf-8").split(LIBRARIES)
    return tuple(set(re.findall(r"^# ([A-Z][A-Z0-9_]+)=", part, flags=re.M)) for part in (ours, libraries))


def options_of_the_api():
    """Each option of the API app is a variable, too (typer's auto_envvar_prefix)."""
    from typer.main import get_command

    cli = pytest.importorskip("tunedassist_api.cli")
    command = get_command(cli.app)
    prefix = command.context_settings["auto_envvar_prefix"]
    return {f"{prefix}_{option.name.upper()}" for option in command.params}


def test_the_search_finds_what_is_known_to_be_read():
    assert {"OPENAI_API_KEY", "TUNEDASSIST_CACHE", "WORLD_SIZE", "RAY_ADDRESS"} <= read_by_the_code()


def test_every_variable_the_code_reads_is_in_the_example():
    ours, _ = in_the_example()
    assert read_by_the_code() | options_of_the_api() <= ours


def test_the_example_names_nothing_the_code_does_not_read():
    ours, libraries = in_the_example()
    assert ours <= read_by_the_code() | options_of_the_api()
    assert not libraries & ours


def test_no_value_that_could_be_a_key_stands_in_the_example():
    for name, value in re.findall(
        r"^# ([A-Z0-9_]*KEYS?)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), flags=re.M
    ):
        assert not value, name


def test_a_file_named_env_is_never_committed():
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
