"""The graph of an artifact's origin: manifests name their parents, every file is hashed again."""

import hashlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ta_schemas import Artifact, ArtifactError, InputError
from tunedassist_cli.pipeline import find_domain
from tunedassist_cli.release.evidence import attacked, settings_of
from tunedassist_cli.release.found import Found

State = Literal["as sealed", "tampered", "not here", "as read", "changed"]


class Node(NamedTuple):
    """An artifact, a base model or a document."""

    key: str
    """The digest; of a document its path."""
    kind: str
    name: str
    state: State
    problem: str = ""
    path: Path | None = None
    made: str = ""
    """When and by what."""


class Lineage(NamedTuple):
    """Nodes by key, the artifact asked for first, and what each was made from."""

    nodes: dict[str, Node]
    parents: dict[str, list[str]]

    @property
    def tampered(self) -> list[Node]:
        """What is no longer as it was sealed."""
        return [node for node in self.nodes.values() if node.state == "tampered"]


def trace(start: Path, *, within: Path, domain: Path | None = None) -> Lineage:
    """Follow the parents of the artifact at `start` through what lies below `within`.

    `domain` is the folder whose raw files a dataset lists; without it the dataset's own, below ./data. Raises
    ArtifactError only where `start` itself cannot be read: what is wrong with the rest stands in its node.
    """
    first = Artifact.open(start, verify=False)
    found = Found(within, first.path / "reports")
    nodes: dict[str, Node] = {first.digest: _node([first])}
    parents: dict[str, list[str]] = {}
    waiting = deque([first])
    while waiting:
        artifact = waiting.popleft()
        if artifact.digest in parents:
            continue
        above = [(parent.kind, parent.digest) for parent in artifact.manifest.parents]
        if artifact.manifest.kind == "safety-report" and attacked(artifact).startswith("sha256:"):
            above.append(("model", attacked(artifact)))
        parents[artifact.digest] = list(dict.fromkeys(digest for _, digest in above))
        for kind, digest in above:
            copies = found.by_digest.get(digest) or _base_model(artifact, digest)
            if digest not in nodes or (copies and nodes[digest].state == "not here"):
                nodes[digest] = _node(copies) if copies else _absent(kind, digest, artifact, found)
            waiting.extend(copies[:1])
        documents = _documents(artifact, domain)
        nodes |= {node.key: node for node in documents}
        parents[artifact.digest] += [node.key for node in documents]
    return Lineage(nodes, parents)


def _node(copies: Sequence[Artifact]) -> Node:
    """An artifact, wherever it lies: in a run, in a release. One copy that was changed is told."""
    state: State = "as sealed"
    problem = ""
    for copy in copies:
        try:
            copy.verify()
        except ArtifactError as error:
            state, problem = "tampered", str(error)
    artifact = copies[0]
    manifest = artifact.manifest
    made = f"{manifest.created_at:%Y-%m-%d %H:%M} by {manifest.producer}"
    name = "/".join(artifact.path.absolute().parts[-2:])
    return Node(artifact.digest, manifest.kind, name, state, problem, artifact.path, made)


def _base_model(child: Artifact, digest: str) -> list[Artifact]:
    """The base model where training found it, if it still lies there as a sealed artifact."""
    place = Path(str(child.manifest.environment.get("base_model_path", "")))
    try:
        base = Artifact.open(place, kind="model", verify=False)
    except ArtifactError:
        return []
    return [base] if base.digest == digest else []


def _absent(kind: str, digest: str, child: Artifact, found: Found) -> Node:
    """A parent that is nowhere: the base model as a rule; else what stands in its place is named."""
    said = settings_of(child).get("base_model", {})
    target = child.manifest.config.get("target", {})
    base = {str(said.get("digest")): said.get("name"), str(target.get("digest")): target.get("model")}
    if kind == "model":
        name = base.get(digest) or child.manifest.config.get("base_model") or "model"
        return Node(digest, kind, str(name), "not here")
    others = [one for one in found.all if one.manifest.kind == kind and one.path.parent == child.path.parent]
    problem = f"{others[0].path} holds another one ({others[0].digest[:19]})" if others else ""
    return Node(digest, kind, kind, "not here", problem)


def _documents(artifact: Artifact, domain: Path | None) -> Sequence[Node]:
    """The raw files that a corpus or dataset lists, compared with what lies in the domain's folder now."""
    nodes = []
    inputs = artifact.manifest.config.get("inputs", [])
    domain = domain or (_domain_of(artifact) if inputs else None)
    for entry in inputs:
        name, sha256 = str(entry["path"]), str(entry.get("sha256", ""))
        file = domain / name if domain else None
        state: State = "not here"
        problem = ""
        if file and file.is_file():
            with file.open("rb") as stream:
                same = hashlib.file_digest(stream, "sha256").hexdigest() == sha256
            state = "as read" if same else "changed"
            problem = (
                ""
                if same
                else f"{file}: not what {artifact.manifest.kind} {artifact.digest[7:19]} was made from"
            )
        nodes.append(Node(f"{artifact.digest}/{name}", "document", name, state, problem, file))
    return nodes


def _domain_of(artifact: Artifact) -> Path | None:
    try:
        return find_domain(str(artifact.manifest.config["domain"]))
    except (KeyError, InputError):
        return None
