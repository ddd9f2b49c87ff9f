"""What is guarded, and how strictly: the `safety` part of `domain.yaml`. Without one, the defaults below.

safety:
  max_chars: 8000
  rails:
    injection: {threshold: 0.9, refusal: "That I will not do."}
    pii: {action: warn}
    toxicity: {action: "off"}
"""

import difflib
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ta_schemas.errors import InputError

Rail = Literal[
    "injection", "document", "bloat", "scope", "toxicity", "pii", "shell", "secrets", "markup", "leak",
    "warning", "cut-off", "loop",
]  # fmt: skip
RAILS: tuple[Rail, ...] = get_args(Rail)


class RailPolicy(BaseModel):
    """How one rail acts; what is None is the rail's own default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Literal["off", "warn", "mask", "block"] | None = Field(
        default=None, description="the strongest action it may take; off: it does not run"
    )
    threshold: float | None = Field(default=None, ge=0, le=1, description="from which score it acts")
    refusal: str = Field(default="", description="what a blocked user reads")


class SafetyPolicy(BaseModel):
    """The `safety` key of `domain.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rails: dict[Rail, RailPolicy] = Field(default_factory=dict, description="what differs from the defaults")
    max_chars: int = Field(default=16_000, ge=100, description="of a user's message; longer ones are refused")
    warn_before: list[str] = Field(
        default_factory=list, description="commands whose answer must carry a warning"
    )
    block_rules: list[str] = Field(
        default_factory=list, description="shell rules that block here though they only warn by default"
    )
    harmless: list[str] = Field(
        default_factory=list,
        description="files of questions or conversations that a scan must see pass; default: the benchmark",
    )
    refuse: list[str] = Field(
        default_factory=list, description="topics nobody is helped with: for people, no rail reads it"
    )
    presidio: bool = Field(default=False, description="look for personal data with presidio, too (extra)")

    @field_validator("rails")
    @classmethod
    def _maskable(cls, rails: dict[Rail, RailPolicy]) -> dict[Rail, RailPolicy]:
        """Only what stands within a line can be masked in a stream."""
        for name, rail in rails.items():
            if rail.action == "mask" and name not in ("pii", "secrets", "markup"):
                raise ValueError(
                    f"{name} cannot be masked, only pii, secrets and markup can: use block or warn"
                )
        return rails


class Domain(BaseModel):
    """What the guard needs of `domain.yaml`; the other keys belong to the other stages."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = "domain"
    system_prompt: str = ""
    scope: str = ""
    refusal: str = "I can't help with that."
    safety: SafetyPolicy = Field(default_factory=SafetyPolicy)
    red_team: str = Field(default="", description="file of scenarios")
    injection: str = Field(default="", description="file of labelled injection cases")
    benchmark: str = ""


DEFAULTS: dict[Rail, RailPolicy] = {
    "injection": RailPolicy(action="block", refusal="I can't follow that instruction."),
    "document": RailPolicy(action="block", refusal="That document tries to give me orders, so I left it out."),
    "bloat": RailPolicy(
        action="block", threshold=0.7, refusal="That message is too long or too repetitive to read."
    ),
    "scope": RailPolicy(action="warn"),
    "toxicity": RailPolicy(action="block", threshold=0.9, refusal="Let's keep it civil."),
    "pii": RailPolicy(action="mask"),
    "shell": RailPolicy(action="block", refusal="I won't give that command: it"),
    "secrets": RailPolicy(action="mask"),
    "markup": RailPolicy(action="mask"),
    "leak": RailPolicy(action="block", refusal="I don't share my own instructions."),
    "warning": RailPolicy(action="warn"),
    "cut-off": RailPolicy(action="warn"),
    "loop": RailPolicy(action="warn"),
}
"""Actions of the rails where the domain says nothing. A threshold of None is the detector's own."""


def rail_policy(policy: SafetyPolicy, rail: Rail) -> RailPolicy:
    """The domain's wishes for a rail over the default."""
    default, own = DEFAULTS[rail], policy.rails.get(rail, RailPolicy())
    return RailPolicy(
        action=own.action or default.action,
        threshold=default.threshold if own.threshold is None else own.threshold,
        refusal=own.refusal or default.refusal,
    )


def load_domain(source: Path) -> Domain:
    """The domain of a folder or of a `domain.yaml`. InputError names file, key and the nearest known key."""
    file = source / "domain.yaml" if source.is_dir() else source
    if not file.is_file():
        raise InputError(f"{file}: no such file: give a domain folder such as data/linux-cli")
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8: {error.reason}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(f"{file}:{mark.line + 1 if mark else 1}: not valid YAML") from None
    if not isinstance(raw, dict):
        raise InputError(f"{file}: expected 'key: value' lines")
    return parse_domain(raw, where=str(file))


def parse_domain(raw: dict[str, Any], *, where: str) -> Domain:
    """The domain of parsed YAML."""
    try:
        return Domain.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        path = [str(part) for part in first["loc"] if part != "[key]"]
        known = (
            list(RAILS)
            if path[:2] == ["safety", "rails"] and len(path) == 3
            else list(SafetyPolicy.model_fields)
        )
        known = list(RailPolicy.model_fields) if len(path) == 4 else known
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        unknown = first["type"] in ("extra_forbidden", "literal_error") and path[-1] not in known
        hint = (
            f": did you mean {near[0]!r}?"
            if near and unknown
            else f"; known are {', '.join(known)}"
            if unknown
            else ""
        )
        raise InputError(
            f"{where}: {'.'.join(path)}: {'unknown key' if unknown else first['msg']}{hint}"
        ) from None
