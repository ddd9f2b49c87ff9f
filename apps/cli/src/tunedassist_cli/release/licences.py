"""The licences that a release comes under: model, base model, data; with the text where it is at hand."""

from importlib.resources import files
from pathlib import Path

from tunedassist_cli.release.evidence import Evidence
from tunedassist_cli.release.front_matter import HUB_IDS, licence_of

BASE_LICENCES = dict.fromkeys(HUB_IDS, "Apache-2.0")
"""Of the embedded base model, as its page on the Hub says."""


def write_licences(evidence: Evidence, folder: Path) -> None:
    """`LICENSES.md`, and `licenses/` with the text of each licence that this package carries."""
    held = [
        ("model", licence_of(evidence)),
        (f"base model {evidence.base_name}", BASE_LICENCES.get(evidence.base_name, "")),
        *(
            (f"{part.manifest.kind} {part.digest[7:19]}", str(part.manifest.config.get("license", "")))
            for part in evidence.parts
            if part.manifest.kind in ("dataset", "preferences", "corpus")
        ),
    ]
    texts = {}
    for name in {licence for _, licence in held if licence}:
        text = _text(name)
        if text:
            texts[name.lower()] = f"licenses/{text[0]}"
            (folder / "licenses").mkdir(exist_ok=True)
            (folder / texts[name.lower()]).write_text(text[1], encoding="utf-8")
    lines = ["# Licences", "", "| part | licence | text |", "| --- | --- | --- |"]
    for part, licence in held:
        told = texts.get(licence.lower()) or (f"https://spdx.org/licenses/{licence}.html" if licence else "")
        lines.append(f"| {part} | {licence or 'missing'} | {told or 'missing'} |")
    (folder / "LICENSES.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(licence: str) -> tuple[str, str] | None:
    for file in files("tunedassist_cli.release").joinpath("texts").iterdir():
        if file.name.removesuffix(".txt").lower() == licence.lower():
            return file.name, file.read_text(encoding="utf-8")
    return None
