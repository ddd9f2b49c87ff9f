"""Which extras are complete, by the packages' own metadata, so that this list is never out of date."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, metadata, requires, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement

from tunedassist_cli.doctor.finding import Finding

STAGES = ("ta-data", "ta-train", "ta-eval", "ta-safety", "ta-serve")
APPS = ("tunedassist-cli", "tunedassist-api", "tunedassist-gradio-demo")
CLI_EXTRA = {
    "ta-data": "data",
    "ta-train": "train",
    "ta-eval": "eval",
    "ta-safety": "safety",
    "ta-serve": "serve",
}

SEPARATE = ("unsloth", "garak", "vllm", "ragas")
"""Extras whose versions clash with the others': they want an environment of their own."""


def packages() -> Iterator[Finding]:
    """The members that are installed; a stage that is not has its install line."""
    for name in (*STAGES, *APPS):
        try:
            yield Finding("environment", name, "ok", version(name))
        except PackageNotFoundError:
            extra = CLI_EXTRA.get(name)
            line = f"pip install 'tunedassist-cli[{extra}]'" if extra else f"pip install {name}"
            needed = name in ("ta-data", "ta-train", "ta-eval", "ta-serve")
            yield Finding("environment", name, "bad" if needed else "absent", "not installed", fix=line)


def extras() -> Iterator[Finding]:
    """Every extra of every installed member, with what it lacks."""
    for name in (*STAGES, *APPS):
        try:
            declared = metadata(name).get_all("Provides-Extra") or []
        except PackageNotFoundError:
            continue
        for extra in declared:
            lacking = sorted(set(lacks(name, extra)))
            where = " (in an environment of its own)" if extra in SEPARATE else ""
            yield Finding(
                "extras",
                f"{name}[{extra}]",
                "absent" if lacking else "ok",
                f"lacks {', '.join(lacking)}" if lacking else "complete",
                fix=f"{install_line(name, extra)}{where}" if lacking else "",
            )


def lacks(name: str, extra: str = "") -> Iterator[str]:
    """What `name[extra]` needs and is absent or too old, what the extras it names need among it."""
    for text in requires(name) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if extra and not re.search(r"extra\s*==", str(marker or "")):
            continue
        if marker and not marker.evaluate({"extra": extra}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield requirement.name
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield f"{requirement.name}{requirement.specifier} (has {found})"
        for further in requirement.extras:
            yield from lacks(requirement.name, further)


def install_line(name: str, extra: str) -> str:
    """The command that brings an extra: of the checkout the package was installed from, else of the package."""
    said = distribution(name).read_text("direct_url.json")
    url = urlsplit(json.loads(said)["url"]) if said else None
    if url is None or url.scheme != "file":
        return f"pip install '{name}[{extra}]'"
    place = Path(unquote(url.path))
    shown = place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place
    return f"uv pip install -e '{shown}[{extra}]'"
