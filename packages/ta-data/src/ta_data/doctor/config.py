"""The doctor's settings: limits, and which finding is bad enough to fail a build."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ta_data.config import validated
from ta_data.doctor.findings import CHECKS, Severity
from ta_schemas.errors import InputError


class Threshold(BaseModel):
    """When a check counts, and how much."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    severity: Severity | None = Field(default=None, description="None: as the check has it")
    max_count: int = Field(default=0, ge=0, description="so many rows are let through")
    max_share: float = Field(default=0.0, ge=0, le=1, description="such a share of the rows is let through")


class DoctorConfig(BaseModel):
    """What `ta-data doctor` is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int = Field(default=2048, ge=1, description="what the model will be trained with")
    near: float = Field(default=0.8, gt=0, le=1, description="Jaccard of near-duplicates across splits")
    repeats: int = Field(default=20, ge=1, description="an answer may stand in so many rows")
    systems: int = Field(default=3, ge=1, description="so many system prompts are fine")
    dominant: float = Field(default=0.8, gt=0, le=1, description="a source may make up such a share")
    skew: float = Field(default=0.7, gt=0, le=1, description="chosen may be the longer one in such a share")
    language_sample: int = Field(default=500, ge=0, description="rows whose language is looked at")
    thresholds: dict[str, Threshold] = Field(default_factory=dict, description="by check")

    @field_validator("thresholds")
    @classmethod
    def _known(cls, value: dict[str, Threshold]) -> dict[str, Threshold]:
        for name in value:
            if name not in CHECKS:
                raise ValueError(f"unknown check {name!r}; known are {', '.join(CHECKS)}")
        return value


def load_config(file: Path | None, given: dict[str, Any]) -> DoctorConfig:
    """The settings of a YAML file, with what the command line says on top."""
    raw: Any = {}
    if file is not None:
        import yaml

        try:
            raw = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except OSError:
            raise InputError(f"{file}: no such file") from None
        except yaml.YAMLError as error:
            raise InputError(f"{file}: not valid YAML: {error}") from None
        if not isinstance(raw, dict):
            raise InputError(f"{file}: expected 'key: value' lines")
    raw = {**raw, **{key: value for key, value in given.items() if value is not None}}
    return validated(DoctorConfig, raw, where=str(file or "command line"))
