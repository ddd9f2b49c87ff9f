"""How a judge is asked and when it may be believed."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ta_eval.config import Settings, read_yaml
from ta_schemas import InputError


class Criterion(BaseModel):
    """One line of a rubric."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)


GENERAL_RUBRIC = [
    Criterion(name="correct", description="What it says is true and does what was asked."),
    Criterion(name="complete", description="Nothing that the question needs is missing."),
    Criterion(name="concise", description="Nothing is said that the question does not need."),
]


class JudgeConfig(Settings):
    """All of it is part of what identifies a judgment."""

    rubric: list[Criterion] = Field(default=GENERAL_RUBRIC, min_length=1)
    """What the judge looks at; a domain's own stands in its domain.yaml."""

    items: int = Field(default=100, ge=1)
    """Items judged, a random part of all, the same every time."""

    max_tokens: int = Field(default=1024, ge=1)
    """Longest judgment; too few cut the JSON off, the commonest cause of unreadable judgments."""

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 asks for the most likely judgment."""

    retest_share: float = Field(default=0.1, ge=0.0, le=1.0)
    """Share of the items judged a second time in the same order: does the judge repeat itself?"""

    min_kappa: float = Field(default=0.4, ge=-1.0, le=1.0)
    """Agreement with people, Cohen's kappa, below which the judge is not allowed a verdict."""

    pass_score: float = Field(default=4.0, ge=1.0, le=5.0)
    """Mean over the criteria (1 to 5) from which a single answer counts as good."""


def read_rubric(file: Path) -> list[Criterion]:
    """The `rubric` of a domain.yaml or of any YAML file. InputError names file and field."""
    raw = read_yaml(file).get("rubric")
    if not isinstance(raw, list) or not raw:
        raise InputError(f"{file}: rubric: expected a list of name and description")
    try:
        return [Criterion.model_validate(entry) for entry in raw]
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{file}: rubric: {field}: {first['msg']}") from None
