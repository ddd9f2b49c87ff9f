"""The settings of `ta-data prepare`. Unknown keys are refused, and the nearest known one is named."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ta_schemas.errors import InputError
from ta_schemas.jsonl import OnError

Format = Literal["knowledge-base", "messages", "sharegpt", "alpaca", "prompt-completion", "documents"]
SplitBy = Literal["task", "group"]

ModelT = TypeVar("ModelT", bound=BaseModel)


class Shares(BaseModel):
    """How much of the rows goes to each split; the three sum to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: float = Field(default=0.8, gt=0, le=1, description="what the model learns from")
    validation: float = Field(default=0.1, ge=0, lt=1, description="what a run is watched and chosen by")
    test: float = Field(default=0.1, ge=0, lt=1, description="what is looked at once, in the end")

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            parts = f"{self.train}, {self.validation} and {self.test}"
            raise ValueError(f"train, validation and test are {parts}: they must sum to 1")
        return self


class DataConfig(BaseModel):
    """What `prepare` is told; what is None is taken from the domain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, description="another seed deals the tasks out differently")
    split_by: SplitBy | None = Field(
        default=None,
        description="task: whole tasks, spread over groups; group: whole groups. None: as the domain says",
    )
    shares: Shares | None = Field(default=None, description="None: as the domain says, else 80/10/10")
    format: Format | None = Field(default=None, description="None: by the file's name and its keys")
    on_error: OnError = Field(default="raise", description="raise at the first bad row, or skip and count")
    tokenizer: Path | None = Field(
        default=None, description="tokenizer.json, or a folder that holds one. None: words are counted"
    )

    @field_validator("shares", mode="before")
    @classmethod
    def _read_shares(cls, value: object) -> object:
        """Take `80/10/10` as the command line has it."""
        if not isinstance(value, str):
            return value
        parts = value.split("/")
        if len(parts) != 3 or not all(part.isdecimal() for part in parts) or sum(map(int, parts)) != 100:
            raise ValueError(f"expected three whole numbers that sum to 100, such as 80/10/10, got {value!r}")
        train, validation, test = (int(part) / 100 for part in parts)
        return {"train": train, "validation": validation, "test": test}


def validated(model: type[ModelT], raw: Mapping[str, Any], *, where: str) -> ModelT:
    """`raw` as `model`; InputError("where: key: what is wrong") with the nearest known key for a typo."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        path = [part for part in first["loc"] if isinstance(part, str | int)]
        key = ".".join(str(part) for part in path)
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = f"unknown key{_nearest(model, path)}"
        raise InputError(f"{where}: {key + ': ' if key else ''}{what}") from None


def _nearest(model: type[BaseModel], path: list[str | int]) -> str:
    """`, did you mean 'seed'?` for the key at the end of `path`, looked for in the model it stands in."""
    known: list[str] = list(model.model_fields)
    for part in path[:-1]:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                model, known = inner, list(inner.model_fields)
    near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
