"""`champion` and `candidate` in the registry: promoted in one command, rolled back in one."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ta_schemas import Artifact, ArtifactError, InputError
from tunedassist_cli.pipeline import installed

if TYPE_CHECKING:
    from ta_train.registry.entry import Entry
    from ta_train.registry.registry import Registry

REGISTRY = Path("runs/registry.sqlite")
CHAMPION, CANDIDATE, PREVIOUS = "champion", "candidate", "previous"


class Change(NamedTuple):
    """Who was and who is the champion of a domain: names in the registry."""

    champion: str
    before: str
    """Empty where there was none."""


def add_candidate(release: Artifact, *, registry: Path = REGISTRY) -> str:
    """Add a release to the registry as the domain's candidate; its name there. SetupError without ta-train."""
    domain = domain_of(release)
    name = f"{domain}/{release.digest.removeprefix('sha256:')[:8]}"
    return _open(registry).add(release.path, name=name, alias=alias(CANDIDATE, domain)).name


def champion_of(domain: str, *, registry: Path = REGISTRY) -> Path | None:
    """Where the domain's champion lies; None without a registry or a champion. SetupError without ta-train."""
    opened = _open(registry)
    if not registry.exists():
        return None
    entry = _find(opened, alias(CHAMPION, domain))
    return entry.path if entry else None


def promote(domain: str, *, ref: str = "", registry: Path = REGISTRY) -> Change:
    """Make the candidate, or the release `ref` names, the champion. Its files are hashed first.

    Raises InputError (no such release, or one of another kind or domain) and ArtifactError (tampered with).
    """
    opened = _open(registry)
    chosen = opened.find(ref or alias(CANDIDATE, domain))
    _check(opened, chosen, domain)
    before = _find(opened, alias(CHAMPION, domain))
    if before and before.digest != chosen.digest:
        opened.point(alias(PREVIOUS, domain), before.name)
    opened.point(alias(CHAMPION, domain), chosen.name)
    return Change(chosen.name, before.name if before else "")


def roll_back(domain: str, *, registry: Path = REGISTRY) -> Change:
    """Make the champion before the present one champion again; the present one is then the previous one.

    Raises InputError where there was none, ArtifactError where its files are no longer as they were.
    """
    opened = _open(registry)
    champion, previous = _find(opened, alias(CHAMPION, domain)), _find(opened, alias(PREVIOUS, domain))
    if champion is None or previous is None:
        raise InputError(f"{domain}: no champion before this one: nothing to roll back to")
    return promote(domain, ref=previous.name, registry=registry)


def alias(role: str, domain: str) -> str:
    """`linux-cli/champion`: each domain has its own."""
    return f"{domain}/{role}"


def domain_of(release: Artifact) -> str:
    """The domain a release was made for."""
    return str(release.manifest.config["domain"])


def _check(opened: "Registry", entry: "Entry", domain: str) -> None:
    if entry.kind != "release":
        raise InputError(f"{entry.name}: a {entry.kind}, only a release can be champion: tunedassist release")
    if entry.manifest.config.get("domain") != domain:
        raise InputError(f"{entry.name}: a release of {entry.manifest.config.get('domain')}, not of {domain}")
    (found,) = opened.verify([entry.name])
    if found.problem:
        raise ArtifactError(f"{entry.name}: {found.problem}")


def _find(opened: "Registry", name: str) -> "Entry | None":
    known = {one: entry for entry in opened.entries() for one in entry.aliases}
    return known.get(name)


def _open(file: Path) -> "Registry":
    with installed("train"):
        from ta_train.registry.registry import Registry
    return Registry(file)
