"""Recipes: YAML files of settings, shipped or the user's own; an unknown key names the nearest known one."""

import difflib
import importlib.resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from ta_schemas import InputError
from ta_train.config import SftConfig, TrainConfig
from ta_train.preference.config import DpoConfig, KtoConfig, OrpoConfig
from ta_train.rl.config import DistillConfig, GrpoConfig, PpoConfig, RewardConfig

C = TypeVar("C", bound=TrainConfig)

CONFIGS: dict[str, type[TrainConfig]] = {
    "sft": SftConfig,
    "dpo": DpoConfig,
    "orpo": OrpoConfig,
    "kto": KtoConfig,
    "reward": RewardConfig,
    "ppo": PpoConfig,
    "grpo": GrpoConfig,
    "distill": DistillConfig,
}
"""The methods by name, as a recipe's `method` says it."""


def recipe_names() -> list[str]:
    """The recipes that ship with the package."""
    folder = importlib.resources.files("ta_train") / "recipes"
    return sorted(Path(str(f)).stem for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_recipe(name: str, kind: type[C], overrides: list[str] | None = None) -> C:
    """Read a shipped recipe by name or a YAML file by path, then apply `key=value` overrides.

    Raises InputError naming the file, the key and the nearest known key.
    """
    text, where = _recipe_text(name)
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected key: value pairs")
    method, wanted = values.get("method", "sft"), kind.model_fields["method"].default
    if method != wanted:
        raise InputError(f"{where}: its method is {method}: run it with `ta-train {method}`, not {wanted}")
    for override in overrides or []:
        key, equals, value = override.partition("=")
        if not equals:
            raise InputError(f"--set {override}: expected key=value, such as --set lora_rank=8")
        values[key.strip()] = yaml.safe_load(value)
        where = f"{name} with --set"
    return _validated(values, where, kind)


def recipe_method(name: str) -> type[TrainConfig]:
    """The configuration class of a shipped recipe."""
    text, _ = _recipe_text(name)
    return CONFIGS[yaml.safe_load(text).get("method", "sft")]


def _recipe_text(name: str) -> tuple[str, str]:
    if name in recipe_names():
        file = importlib.resources.files("ta_train") / "recipes" / f"{name}.yaml"
        return file.read_text(encoding="utf-8"), f"recipe {name}"
    path = Path(name)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path.read_text(encoding="utf-8"), str(path)
    near = difflib.get_close_matches(name, recipe_names(), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(
        f"unknown recipe {name!r}: {hint}choose one of {', '.join(recipe_names())} or name a .yaml file"
    )


def _validated(values: dict[str, Any], where: str, kind: type[C]) -> C:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, kind.model_fields, n=1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise InputError(f"{where}: unknown key {key!r}{hint}") from None
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{where}: {key + ': ' if key else ''}{message}") from None
