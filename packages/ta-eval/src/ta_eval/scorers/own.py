"""Scorers of your own: a function named by a benchmark row, or by `scorers:` in a domain.yaml.

    def function(row, answer):            # row: ta_eval.item.Item, answer: str
        return 0.0 <= number <= 1.0       # or None, or (value, extracted, reason)

    scorers:                              # domain.yaml; rows then say "scorer": "polite"
      polite: my_module:is_polite         # a module that is installed or on PYTHONPATH
      short: scorers.py:is_short          # a file below the folder of domain.yaml

A benchmark is data and may come from others, so a row can only *name* code that you have installed or put on
PYTHONPATH. A file is loaded only where you pass its domain.yaml, which is code that you run knowingly. The
standard library is refused, so that nothing can call what was never meant to be a scorer.
"""

import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ta_eval.item import Item
from ta_eval.scorers.text import Score
from ta_schemas import InputError


def read_scorers(domain: Path) -> dict[str, str]:
    """Names and places of `scorers:` in a domain.yaml, each loaded once to be sure that it is there.

    Raises InputError: `domain.yaml: scorers.name: reason`.
    """
    from ta_eval.config import read_yaml
    from ta_eval.scorers import NAMES

    file = domain / "domain.yaml" if domain.is_dir() else domain
    listed = read_yaml(file).get("scorers") or {}
    if not isinstance(listed, dict):
        raise InputError(f"{file}: scorers: expected name: module:function, got {type(listed).__name__}")
    found = {}
    for name, place in listed.items():
        where = f"{file}: scorers.{name}"
        if name in NAMES or ":" in str(name):
            raise InputError(
                f"{where}: {'is a scorer of ours' if name in NAMES else 'no colon'}: choose another name"
            )
        if not isinstance(place, str) or ":" not in place:
            raise InputError(f"{where}: expected module:function or file.py:function, got {place!r}")
        found[str(name)] = _inside(file.parent, place, where) if _is_file(place) else place
        try:
            load_own(found[str(name)])
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    return found


def score_with_own(place: str, row: Item, answer: str) -> Score:
    """Call the function at `place`. What it raises is its own bug and keeps its traceback."""
    result = load_own(place)(row, answer)
    value, extracted, reason = result if isinstance(result, tuple) else (result, "", "")
    if value is not None and not 0 <= float(value) <= 1:
        raise InputError(f"scorer {row.scorer}: gave {value!r} for item {row.id!r}: expected 0 to 1, or None")
    value = None if value is None else float(value)
    return Score(value, str(extracted), str(reason or row.scorer))


def problem_of_place(place: str) -> str:
    """What is wrong with the `module:function` of a row, or an empty string."""
    if _is_file(place):
        return f"scorer: {place!r} is a file: name it under `scorers:` in domain.yaml and pass --domain"
    try:
        load_own(place)
    except InputError as error:
        return str(error)
    return ""


@functools.cache
def load_own(place: str) -> Callable[[Item, str], Any]:
    """The function at `module:function` or `file.py:function`. InputError where there is none."""
    source, _, name = place.rpartition(":")
    module = _module_of_file(Path(source)) if _is_file(place) else _module(source, place)
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"scorer {place!r}: {Path(source).name} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def own_digest(place: str) -> str:
    """SHA-256 of the file the function stands in: part of what identifies a result."""
    if _is_file(place):
        return hashlib.sha256(Path(place.rpartition(":")[0]).read_bytes()).hexdigest()
    file = sys.modules[load_own(place).__module__].__file__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _is_file(place: str) -> bool:
    return place.rpartition(":")[0].endswith(".py")


def _inside(folder: Path, place: str, where: str) -> str:
    source, _, name = place.rpartition(":")
    file = (folder / source).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise InputError(f"{where}: {source} is outside the domain's folder: put the file there")
    if not file.is_file():
        raise InputError(f"{where}: no such file: {folder / source}")
    return f"{file}:{name}"


def _module(name: str, place: str) -> ModuleType:
    if name.partition(".")[0] in sys.stdlib_module_names:
        raise InputError(f"scorer {place!r}: {name} is Python's own: name a module with scorers")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f"scorer {place!r}: {error}: install it, or put its folder on PYTHONPATH") from None


def _module_of_file(file: Path) -> ModuleType:
    """A module by itself: two domains may both have a scorers.py."""
    name = f"ta_eval_own_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file}: cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise InputError(f"{file}:{error.lineno}: {error.msg}") from None
    return module
