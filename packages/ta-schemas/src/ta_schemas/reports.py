"""Reports: what an evaluation found, in numbers that carry their uncertainty."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Interval(BaseModel):
    """An estimate with its 95 % confidence interval."""

    model_config = ConfigDict(extra="allow")

    estimate: float
    low: float
    high: float
    method: str = Field(description="wilson, paired-bootstrap ...")


class SystemScore(BaseModel):
    """One system on one item set."""

    model_config = ConfigDict(extra="allow")

    name: str
    items: int
    scored: int
    unscored: dict[str, int] = Field(default_factory=dict, description="reason: how many")
    accuracy: Interval
    by_category: dict[str, Interval] = Field(default_factory=dict)


class Comparison(BaseModel):
    """Candidate minus baseline on the same items."""

    model_config = ConfigDict(extra="allow")

    baseline: str
    candidate: str
    items: int
    difference: Interval
    only_baseline: int = Field(description="items only the baseline got right")
    only_candidate: int = Field(description="items only the candidate got right")
    mcnemar_p: float
    minimum_detectable_effect: float = Field(description="80 % power, two-sided 5 %")
    verdict: str = Field(description="better, worse or not measurable")


class ItemSetReport(BaseModel):
    """All systems on one item set."""

    model_config = ConfigDict(extra="allow")

    name: str
    systems: list[SystemScore]
    comparisons: list[Comparison] = Field(default_factory=list)


class EvalReport(BaseModel):
    """`eval-report/report.json`."""

    model_config = ConfigDict(extra="allow")

    title: str
    item_sets: list[ItemSetReport]
    side_by_side: list[dict[str, Any]] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
