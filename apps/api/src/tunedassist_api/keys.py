"""API keys: made here, kept as SHA-256, compared in constant time.

A made key holds 256 random bits, so a plain hash at rest is enough: there is nothing to guess.
"""

import hashlib
import hmac
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ta_schemas import InputError
from tunedassist_api.logs import event

ENVIRONMENT = "TUNEDASSIST_API_KEYS"
MIN_CHARACTERS = 16


class Key(BaseModel):
    """A key as it is kept."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created_at: str = ""
    requests_per_minute: int | None = Field(None, ge=0)
    """None: what the server says; 0: no limit."""


class KeyFile(BaseModel):
    """`keys.json`."""

    model_config = ConfigDict(extra="forbid")

    keys: list[Key] = Field(default_factory=list)


def digest(key: str) -> str:
    """How a key is kept."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def read_keys(file: Path) -> KeyFile:
    """Raises InputError where the file is missing or wrong."""
    try:
        return KeyFile.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{file}: no such file: make it with 'tunedassist-api keys add NAME --file {file}'"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise InputError(f"{file}: {where}: {first['msg']}") from None


def add_key(file: Path, name: str, *, requests_per_minute: int | None = None) -> str:
    """Make a key, keep its hash, return the key: it cannot be shown again. Raises InputError."""
    kept = read_keys(file) if file.exists() else KeyFile()
    if any(key.name == name for key in kept.keys):
        raise InputError(f"{file}: there is a key {name!r} already: remove it first or choose another name")
    made = f"ta-{secrets.token_urlsafe(32)}"
    try:
        key = Key(
            name=name,
            sha256=digest(made),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            requests_per_minute=requests_per_minute,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['loc'][0]}: {first['msg']}") from None
    _write(file, KeyFile(keys=[*kept.keys, key]))
    return made


def remove_key(file: Path, name: str) -> None:
    """A running server refuses it from its next request on. Raises InputError."""
    kept = read_keys(file)
    left = [key for key in kept.keys if key.name != name]
    if len(left) == len(kept.keys):
        raise InputError(f"{file}: no key {name!r}: it has {', '.join(k.name for k in kept.keys) or 'none'}")
    _write(file, KeyFile(keys=left))


def _write(file: Path, kept: KeyFile) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial-{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(kept.model_dump(exclude_none=True), indent=2) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


class KeyRing:
    """The keys a server knows: those of a file, read again when it changes, and of the environment."""

    def __init__(self, file: Path | None, environment: str = "") -> None:
        self._file, self._stamp = file, 0
        self._fixed = [
            Key(name=f"environment-{number}", sha256=digest(key))
            for number, key in enumerate(_split(environment), start=1)
        ]
        self._from_file: list[Key] = []
        if file is not None:
            self._from_file = read_keys(file).keys
            self._stamp = file.stat().st_mtime_ns

    @property
    def is_open(self) -> bool:
        """Whether no key is asked for: neither a file nor the environment was given."""
        return self._file is None and not self._fixed

    def find(self, presented: str) -> Key | None:
        """The key, or None. Every known key is compared, equal or not."""
        self._reload()
        wanted = digest(presented)
        found = None
        for key in (*self._fixed, *self._from_file):
            if hmac.compare_digest(key.sha256, wanted):
                found = key
        return found

    def _reload(self) -> None:
        if self._file is None:
            return
        try:
            stamp = self._file.stat().st_mtime_ns
            if stamp != self._stamp:
                self._from_file, self._stamp = read_keys(self._file).keys, stamp
                event("keys_read", keys=len(self._from_file))
        except (InputError, OSError) as error:
            if self._stamp != -1:  # said once; the keys read last stay
                self._stamp = -1
                event("keys_unreadable", level=40, file=str(self._file), error=error)


def _split(environment: str) -> list[str]:
    keys = [key.strip() for key in environment.split(",") if key.strip()]
    if any(len(key) < MIN_CHARACTERS for key in keys):
        raise InputError(f"{ENVIRONMENT}: a key of less than {MIN_CHARACTERS} characters can be guessed")
    return keys
