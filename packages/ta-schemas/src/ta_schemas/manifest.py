"""The manifest: what an artifact is, what it was made from, and the digest of every file in it."""

import hashlib
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

SCHEMA_VERSION = 1
"""Raised only when an old reader would misread; a new optional field does not raise it."""

MANIFEST_NAME = "manifest.json"

LOGS = "logs"
"""Files below this folder are sealed too, but stay out of the digest: they hold times and speeds."""

Kind = Literal[
    "corpus",
    "dataset",
    "preferences",
    "adapter",
    "model",
    "gguf",
    "predictions",
    "eval-report",
    "safety-report",
    "feedback",
    "release",
]
KINDS: tuple[str, ...] = get_args(Kind)


class Parent(BaseModel):
    """An artifact this one was made from."""

    model_config = ConfigDict(extra="allow")

    kind: Kind
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class FileEntry(BaseModel):
    """One file of the artifact; `path` is relative, with forward slashes, and stays inside."""

    model_config = ConfigDict(extra="allow")

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, description="bytes")

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        pure = PurePosixPath(path)
        if not path or "\\" in path or "\0" in path or pure.is_absolute() or ".." in pure.parts:
            raise ValueError(f"path {path!r} leaves the artifact")
        return path


class Manifest(BaseModel):
    """`manifest.json`, written last: a directory without it is no artifact. Unknown fields are kept."""

    model_config = ConfigDict(extra="allow")

    schema_version: int = Field(ge=1)
    kind: Kind
    created_at: AwareDatetime
    producer: str = Field(description="package and version that wrote it, such as 'ta-train 0.1.0'")
    config: dict[str, Any] = Field(default_factory=dict, description="the resolved configuration")
    parents: list[Parent] = Field(default_factory=list)
    files: list[FileEntry] = Field(default_factory=list)
    metrics: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict, description="versions and machine")

    @property
    def digest(self) -> str:
        """`sha256:…` over kind and files (logs and time stamps excluded): same content, same digest."""
        content = hashlib.sha256(f"{self.kind}\n".encode())
        for file in sorted(self.files, key=lambda f: f.path):
            if PurePosixPath(file.path).parts[0] != LOGS:
                content.update(f"{file.sha256}  {file.path}\n".encode())
        return f"sha256:{content.hexdigest()}"

    @property
    def as_parent(self) -> Parent:
        """How a later artifact names this one."""
        return Parent(kind=self.kind, digest=self.digest)


def now() -> datetime:
    """The present, aware, to the second."""
    return datetime.now().astimezone().replace(microsecond=0)
