"""A request body in which nothing is overlooked: unknown and unsupported fields are refused by name."""

import difflib
import json
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_DEPTH = 64


class Body(BaseModel):
    """A JSON object. No type is converted: `"5"` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    unsupported: ClassVar[dict[str, tuple[Any, ...]]] = {}
    """Fields this server cannot honour: the values, besides null, that ask for nothing."""

    @model_validator(mode="before")
    @classmethod
    def _name_unknown(cls, raw: Any) -> Any:
        if isinstance(raw, dict):
            known = {field.alias or name for name, field in cls.model_fields.items()}
            for key in raw.keys() - known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f": did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"unknown field {key!r}{hint}")
        return raw

    @model_validator(mode="after")
    def _refuse_unsupported(self) -> "Body":
        for name, harmless in self.unsupported.items():
            value = getattr(self, name)
            if value is not None and value not in harmless:
                allowed = f"leave it out or send {harmless[0]!r}" if harmless else "leave it out"
                raise ValueError(f"{name}: not supported by this server: {allowed}")
        return self


class WholeBody(Body):
    """A request's outermost object: its text must be Unicode, for what follows encodes it as UTF-8."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_surrogates(cls, raw: Any) -> Any:
        try:
            json.dumps(raw, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("the text holds a lone surrogate: send valid Unicode") from None
        except RecursionError:
            raise ValueError("nested too deep") from None
        return raw


def ignored(description: str) -> Any:
    """A field of OpenAI's that changes no answer here."""
    return Field(None, description=f"{description} Accepted, without effect.")


def refused(description: str) -> Any:
    """A field of OpenAI's that is refused where it asks for something."""
    return Field(None, description=f"Not supported: {description}.")


def plain_json(value: dict[str, Any]) -> dict[str, Any]:
    """The same object, if an engine in another process can take it.

    Raises ValueError: deeper than 64 levels, over 64 KiB, NaN.
    """
    if _depth(value) > MAX_SCHEMA_DEPTH:
        raise ValueError(f"nested deeper than {MAX_SCHEMA_DEPTH} levels")
    size = len(json.dumps(value, allow_nan=False))
    if size > MAX_SCHEMA_BYTES:
        raise ValueError(f"{size} bytes, the most is {MAX_SCHEMA_BYTES}")
    return value


def _depth(value: Any) -> int:
    level, deepest = [value], 0
    while level and deepest <= MAX_SCHEMA_DEPTH:
        deepest += 1
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    return deepest
