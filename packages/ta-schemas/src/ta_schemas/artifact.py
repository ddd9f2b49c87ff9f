"""Artifacts: directories sealed by a manifest that is written last.

with ArtifactWriter(out, kind="dataset", producer="ta-data 0.1.0", config={...}) as writer:
    write_jsonl(writer.path / "train.jsonl", rows)
    writer.metrics["rows"] = 900
dataset = Artifact.open(out, kind="dataset")
"""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from ta_schemas.errors import ArtifactError, InputError
from ta_schemas.manifest import KINDS, MANIFEST_NAME, SCHEMA_VERSION, FileEntry, Kind, Manifest, Parent, now
from ta_schemas.migrations import step_up


@dataclass(frozen=True)
class Artifact:
    """A sealed directory."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path, *, kind: Kind | None = None, verify: bool = True) -> "Artifact":
        """Read the manifest and, with `verify`, hash every file.

        Raises ArtifactError in one line: no manifest, another kind, a newer version, a changed, missing or
        additional file, a path that leaves the directory.
        """
        path = Path(path)
        manifest = _read_manifest(path)
        if kind is not None and manifest.kind != kind:
            raise ArtifactError(f"{path}: this is an artifact of kind {manifest.kind!r}, expected {kind!r}")
        artifact = cls(path, manifest)
        if verify:
            artifact.verify()
        return artifact

    @property
    def digest(self) -> str:
        """`sha256:…` of the content."""
        return self.manifest.digest

    @property
    def as_parent(self) -> Parent:
        """How a later artifact names this one."""
        return self.manifest.as_parent

    def file(self, name: str) -> Path:
        """The path of a listed file; ArtifactError where the manifest does not list it."""
        if all(entry.path != name for entry in self.manifest.files):
            raise ArtifactError(f"{self.path}: {self.manifest.kind} artifact without {name}")
        return self.path / name

    def verify(self) -> None:
        """Compare every file with the manifest; raise ArtifactError at the first difference."""
        listed = {entry.path: entry for entry in self.manifest.files}
        present = set(_files_below(self.path))
        for name in sorted(listed.keys() | present):
            where = f"{self.path / name}"
            if name not in listed:
                raise ArtifactError(f"{where}: not in the manifest: remove it or make the artifact again")
            if name not in present:
                raise ArtifactError(f"{where}: missing: copy the whole artifact or make it again")
            file = self.path / name
            if not file.resolve().is_relative_to(self.path.resolve()):
                raise ArtifactError(f"{where}: a link that leaves the artifact")
            size = file.stat().st_size
            if size != listed[name].size:
                raise ArtifactError(
                    f"{where}: {size} bytes, the manifest says {listed[name].size}: truncated or changed"
                )
            if _sha256(file) != listed[name].sha256:
                raise ArtifactError(f"{where}: content differs from the manifest: changed after it was sealed")


class ArtifactWriter:
    """Fills a staging directory beside `out`; on success seals it and renames it to `out`.

    On an error or Ctrl-C nothing appears at `out`, and what stood there stays. An `out` that exists and is
    not empty is refused unless `replace` is true.
    """

    def __init__(
        self,
        out: Path,
        *,
        kind: Kind,
        producer: str,
        config: dict[str, Any] | None = None,
        parents: Sequence[Parent] = (),
        replace: bool = False,
    ) -> None:
        self.out = Path(out)
        self.path = self.out.with_name(f"{self.out.name}.partial-{os.getpid()}")
        self.kind: Kind = kind
        self.producer = producer
        self.config = config or {}
        self.parents = list(parents)
        self.metrics: dict[str, Any] = {}
        self.environment: dict[str, Any] = {
            "python": platform.python_version(),
            "platform": platform.platform(),
        }
        refuse_existing(self.out, replace=replace)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._seal()
        finally:
            shutil.rmtree(self.path, ignore_errors=True)

    def _seal(self) -> None:
        files = [
            FileEntry(path=name, sha256=_sha256(self.path / name), size=(self.path / name).stat().st_size)
            for name in sorted(_files_below(self.path))
        ]
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            kind=self.kind,
            created_at=now(),
            producer=self.producer,
            config=self.config,
            parents=self.parents,
            files=files,
            metrics=self.metrics,
            environment=self.environment,
        )
        with (self.path / MANIFEST_NAME).open("w", encoding="utf-8") as file:
            file.write(manifest.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if self.out.exists():
            old = self.out.with_name(f"{self.path.name}-old")
            self.out.rename(old)
            self.path.rename(self.out)
            shutil.rmtree(old)
        else:
            self.path.rename(self.out)


def sealed(out: Path, *, kind: Kind, config: dict[str, Any], parents: Sequence[Parent]) -> Artifact | None:
    """The artifact at `out` if it was made from the same configuration and parents, else None.

    This is how a pipeline skips a step. A damaged artifact is not skipped over: it raises ArtifactError.
    """
    if not (Path(out) / MANIFEST_NAME).exists():
        return None
    artifact = Artifact.open(out)
    manifest = artifact.manifest
    same_parents = [(p.kind, p.digest) for p in manifest.parents] == [(p.kind, p.digest) for p in parents]
    same_config = manifest.config == json.loads(json.dumps(config))
    return artifact if manifest.kind == kind and same_parents and same_config else None


def refuse_existing(out: Path, *, replace: bool = False) -> None:
    """Raise before the expensive part when `out` holds something that is not ours to overwrite."""
    for parent in out.absolute().parents:
        if parent.is_file():
            raise InputError(f"{out}: {parent} is a file, no folder can be made below it: name another --out")
    if out.is_file():
        raise InputError(f"{out}: is a file, expected a directory to write the artifact to")
    if out.is_dir() and any(out.iterdir()):
        if not (out / MANIFEST_NAME).exists():
            raise ArtifactError(f"{out}: holds files that are no artifact: name another --out")
        if not replace:
            raise ArtifactError(f"{out}: holds another run's artifact: pass --force or name another --out")


def _read_manifest(path: Path) -> Manifest:
    file = path / MANIFEST_NAME
    if not path.is_dir():
        raise ArtifactError(f"{path}: no such artifact directory")
    if not file.is_file():
        raise ArtifactError(f"{path}: no {MANIFEST_NAME}: half-written or not an artifact")
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{file}: not JSON ({error}): truncated or changed") from None
    if not isinstance(raw, dict):
        raise ArtifactError(f"{file}: expected a JSON object")
    raw = step_up(raw, where=str(file))
    if raw.get("kind") not in KINDS:
        raise ArtifactError(f"{file}: unknown kind {raw.get('kind')!r}, expected one of {', '.join(KINDS)}")
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{file}: {field}: {first['msg']}") from None


def _files_below(root: Path) -> list[str]:
    return [
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if (path.is_file() or path.is_symlink()) and path != root / MANIFEST_NAME
    ]


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
