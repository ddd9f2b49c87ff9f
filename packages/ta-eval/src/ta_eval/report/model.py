"""What report.json holds beyond the shared format."""

from typing import Any

from pydantic import BaseModel, Field

from ta_schemas.reports import EvalReport


class Lengths(BaseModel):
    """How long a system's answers are, in characters, and how right the short and the long ones are."""

    system: str
    quantiles: list[float] = Field(description="10, 25, 50, 75 and 90 %")
    mean_tokens: float
    cut: int = Field(description="answers cut off at the token limit")
    right_shorter_half: float
    right_longer_half: float


class Risk(BaseModel):
    """Risk and coverage of a system whose answers carry a confidence."""

    system: str
    area: float
    area_low: float
    area_high: float
    points: list[tuple[float, float]] = Field(description="coverage, risk")


class Run(BaseModel):
    """Where an item set's answers come from, and what they cost: enough to recompute every number."""

    item_set: str
    system: str
    digest: str
    benchmark: str = ""
    producer: str = ""
    environment: dict[str, Any] = Field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float | None = None
    cost_usd: float | None = None


class Report(EvalReport):
    """The whole report."""

    verdict: str = ""
    wins: list[dict[str, Any]] = Field(default_factory=list, description="only the best candidate is right")
    losses: list[dict[str, Any]] = Field(default_factory=list, description="only the baseline is right")
    lengths: list[Lengths] = Field(default_factory=list)
    risks: list[Risk] = Field(default_factory=list)
    judges: list[dict[str, Any]] = Field(default_factory=list, description="judge.json of each judge")
    people: list[dict[str, Any]] = Field(default_factory=list, description="analysis.json of each blind A/B")
    runs: list[Run] = Field(default_factory=list)
