"""`settings.json`: what travels with a tuned model, so that nobody has to pass it again."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ta_schemas import InputError

SETTINGS_NAME = "settings.json"


class Generation(BaseModel):
    """How the model wants to be asked."""

    model_config = ConfigDict(extra="allow")

    max_tokens: int = Field(256, ge=1, description="longest answer")
    temperature: float = Field(0.0, ge=0, description="0: always the likeliest token")
    stop: list[str] = Field(default_factory=list, description="where an answer ends, besides the model's own")


class BaseModelRef(BaseModel):
    """The base model that an adapter belongs to."""

    model_config = ConfigDict(extra="allow")

    name: str
    digest: str = ""


class Settings(BaseModel):
    """`settings.json` of an adapter or model artifact. A reader: unknown keys are kept."""

    model_config = ConfigDict(extra="allow")

    system_prompt: str = Field("", description="what the model was tuned with; chat puts it first")
    generation: Generation = Field(default_factory=Generation)
    base_model: BaseModelRef | None = None


def read_settings(folder: Path) -> Settings:
    """The settings of an artifact; the defaults where it has none. Raises InputError(file: key: reason)."""
    file = folder / SETTINGS_NAME
    if not file.exists():
        return Settings()
    try:
        return Settings.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{file}: {key}: {first['msg']}") from None
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON: {error}") from None
