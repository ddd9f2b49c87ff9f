"""What can be set: how a model is asked, and how results are compared. Unknown keys are refused."""

import difflib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ta_schemas import InputError

OnError = Literal["stop", "unscored"]


class Settings(BaseModel):
    """What every configuration is: frozen, without unknown keys, readable from YAML."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @classmethod
    def load(cls, path: Path | None = None, **overrides: Any) -> Self:
        """Read a YAML file; overrides that are not None win. InputError names file, key and nearest key."""
        values = read_yaml(path) if path is not None else {}
        values |= {key: value for key, value in overrides.items() if value is not None}
        for key in values:
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(cls.model_fields)}"
                raise InputError(f"{path or 'configuration'}: {key}: unknown key: {hint}")
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{path or 'configuration'}: {field}: {first['msg']}") from None


class EvalConfig(Settings):
    """How a model is asked. All of it is part of what identifies a result."""

    system_prompt: str = ""
    """Put in front of every item that has no system message of its own; empty: none is."""

    max_tokens: int = Field(default=256, ge=1)
    """Longest answer; a longer one is cut and counted as truncated."""

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 asks for the most likely answer, so that a second run gives the same."""

    on_error: OnError = "stop"
    """What happens when items fail for good: `stop` seals nothing and keeps the journal, `unscored` seals the
    rest and reports the failed ones, with reasons, as unscored."""


class CompareConfig(Settings):
    """How results are compared."""

    title: str = "Evaluation report"
    """Heading of the report."""

    resamples: int = Field(default=10_000, ge=100)
    """Bootstrap resamples of the paired difference."""

    seed: int = Field(default=0, ge=0)
    """Seed of the bootstrap."""

    side_by_side: int = Field(default=10, ge=0)
    """Prompts shown with every system's answer."""

    cluster: Literal["group", "none"] = "group"
    """`group`: items of one `group` hang together, where there are ten groups or more; `none`: they do not."""

    base_digest: str = ""
    """`sha256:…` of the base model: the comparison is refused unless the baseline answered with it."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Keys and values of a YAML file. InputError names file and line."""
    import yaml

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8: byte {error.start + 1}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected keys and values, got {type(values).__name__}")
    return values
