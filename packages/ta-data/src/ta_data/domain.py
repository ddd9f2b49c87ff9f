"""The domain folder: `domain.yaml` beside the raw files and the held-out questions.

A folder or a file without a `domain.yaml` is a domain too: a nameless one with default settings.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ta_data.config import Format, Shares, SplitBy, validated
from ta_schemas.errors import InputError

DOMAIN_NAME = "domain.yaml"


class Source(BaseModel):
    """A folder or file of raw material."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(
        description="relative to domain.yaml; collect and build also take a URL or hf://datasets/OWNER/NAME"
    )
    format: Format | None = Field(default=None, description="None: by the files' names and keys")
    license: str = Field(default="", description="of its rows, where they bring none (collect and build)")
    columns: dict[str, str] = Field(
        default_factory=dict, description="role: column, where names do not tell (collect and build)"
    )


class SplitSettings(Shares):
    """How the rows are dealt out."""

    by: SplitBy = Field(default="task", description="what is never torn apart")


class Domain(BaseModel):
    """What `domain.yaml` may hold. The last seven keys are for the other stages; here they only pass."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, description="short, for file names and reports")
    title: str = Field(default="", description="what a reader sees")
    language: str = Field(default="en", description="of the conversations, as ISO 639-1")
    license: str = Field(default="", description="SPDX identifier of the data")
    system_prompt: str = Field(default="", description="put before every conversation that has none")
    scope: str = Field(default="", description="what the assistant is for")
    refusal: str = Field(default="", description="the answer to what is out of scope")
    sources: list[Source] = Field(
        default_factory=lambda: [Source(path=".")], min_length=1, description="what is read; none: the folder"
    )
    split: SplitSettings = Field(default_factory=SplitSettings, description="how the rows are dealt out")
    benchmark: str = Field(default="", description="held-out questions, never trained on")

    general: str = Field(default="", description="general questions, to notice what was forgotten")
    answer_style: list[str] = Field(default_factory=list, description="for who writes answers")
    rubric: list[Any] = Field(default_factory=list, description="what a judge looks at (ta-eval)")
    scorers: dict[str, str] = Field(default_factory=dict, description="scorers of its own, by name (ta-eval)")
    safety: dict[str, Any] = Field(default_factory=dict, description="policy and rails (ta-safety)")
    release: dict[str, Any] = Field(default_factory=dict, description="conditions of a release (tunedassist)")
    red_team: str = Field(default="", description="scenarios of attack (ta-safety)")
    injection: str = Field(default="", description="injected instructions to be noticed (ta-safety)")


def load_domain(source: Path | str) -> tuple[Path, Domain]:
    """The domain's folder and settings for a domain folder, a plain folder, one file, or an address."""
    if "://" in str(source):
        name = re.sub(r"\W+", "-", str(source).partition("://")[2].partition("?")[0]).strip("-")
        return Path(), Domain(name=name, sources=[Source(path=str(source))])
    source = Path(source)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if source.is_file() and source.name != DOMAIN_NAME:
        return source.parent, Domain(name=source.stem, sources=[Source(path=source.name)])
    root = source.parent if source.is_file() else source
    file = root / DOMAIN_NAME
    if not file.exists():
        return root, Domain(name=root.resolve().name)
    return root, validated(Domain, _read_yaml(file), where=str(file))


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        line = f"{error.problem_mark.line + 1}" if error.problem_mark else "1"
        raise InputError(f"{file}:{line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{file}: not valid YAML: {error}") from None
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        raise InputError(f"{file}: expected 'key: value' lines, beginning with 'name: …'")
    return raw
