"""The main path of a release: find the evidence, hold it against the gate, seal model, papers and reports."""

import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from ta_schemas import Artifact, ArtifactWriter, sealed
from ta_schemas.artifact import refuse_existing
from ta_schemas.errors import GateError
from tunedassist_cli.messages import say
from tunedassist_cli.release.against import ANSWERS, SCAN
from tunedassist_cli.release.bom import bill_of_materials
from tunedassist_cli.release.card import model_card
from tunedassist_cli.release.condition import Verdict
from tunedassist_cli.release.evidence import Evidence, find_evidence
from tunedassist_cli.release.gate import judge
from tunedassist_cli.release.licences import write_licences
from tunedassist_cli.release.signature import read_private_key, sign


class Released(NamedTuple):
    """A release and what the gate said."""

    artifact: Artifact
    verdict: Verdict


class NotReleasedError(GateError):
    """The gate did not let it pass; `verdict` says why."""

    def __init__(self, verdict: Verdict) -> None:
        told = "; ".join(condition.short() for condition in verdict.failed)
        super().__init__(f"not released: {told} (of {len(verdict.conditions)} conditions)")
        self.verdict = verdict


def make_release(
    run: Path,
    domain: Path,
    *,
    model: Path | None = None,
    out: Path | None = None,
    champion: Path | None = None,
    signing_key: Path | None = None,
    replace: bool = False,
) -> Released:
    """Seal a `release` of the model at `model` (default: `run/gguf`) if the gate lets it pass.

    `out` is `run/releases/` and the first eight digits of the model's digest unless given; what is sealed
    there already from the same evidence and thresholds is returned. `champion` is an earlier release that
    must not be fallen behind, `signing_key` an Ed25519 key in PEM.

    Raises NotReleasedError (a GateError) with every condition that does not hold and by how much, ArtifactError
    for evidence that was tampered with, InputError, and SetupError for a missing extra.
    """
    key = read_private_key(signing_key) if signing_key else None
    evidence = find_evidence(run, domain, model=model)
    place = out or run / "releases" / evidence.model.digest.removeprefix("sha256:")[:8]
    if champion and champion.resolve() == place.resolve():
        champion = None  # the champion itself, released again
    verdict = judge(evidence, champion=champion)
    for condition in verdict.conditions:
        say(f"  {condition.told()}")
    if not verdict.passes:
        raise NotReleasedError(verdict)
    artifact = _seal(evidence, verdict, place, champion=champion, replace=replace)
    if key:
        sign(artifact, key)
    return Released(artifact, verdict)


def _seal(evidence: Evidence, verdict: Verdict, out: Path, *, champion: Path | None, replace: bool) -> Artifact:
    reports = _reports(evidence)
    parents = [evidence.model.as_parent, *(report.as_parent for report in reports.values())]
    config = {
        "domain": evidence.domain.name,
        "file": evidence.file,
        "thresholds": evidence.domain.release.model_dump(),
        "champion": Artifact.open(champion, verify=False).digest if champion else "",
    }
    done = sealed(out, kind="release", config=config, parents=parents)
    if done is not None:
        return done
    refuse_existing(out, replace=replace)
    papers = {
        "README.md": model_card(evidence, verdict),
        "bom.cdx.json": bill_of_materials(evidence),
        "gate.json": verdict.model_dump_json(indent=2) + "\n",
    }
    producer = f"tunedassist-cli {version('tunedassist-cli')}"
    with ArtifactWriter(
        out, kind="release", producer=producer, config=config, parents=parents, replace=replace
    ) as writer:
        _copy_model(evidence, writer.path)
        for place, report in reports.items():
            shutil.copytree(report.path, writer.path / place)
        for name, text in papers.items():
            (writer.path / name).write_text(text, encoding="utf-8")
        write_licences(evidence, writer.path)
        writer.metrics["gate"] = [json.loads(one.model_dump_json()) for one in verdict.conditions]
    return Artifact.open(out, kind="release")


def _reports(evidence: Evidence) -> dict[str, Artifact]:
    """Place in the release: the artifact that is copied there."""
    found: dict[str, Artifact] = {}
    for name, measured in evidence.measured.items():
        known = {report.digest for report in found.values()}
        if measured.report.digest not in known:
            found[f"reports/{'evaluation' if not found else f'evaluation-{name}'}"] = measured.report
    for name, measured in evidence.measured.items():
        found[ANSWERS if name == "benchmark" else f"reports/predictions/{name}"] = measured.answers
    scans = {SCAN: evidence.safety, "reports/safety-base": evidence.base_safety}
    return found | {place: scan for place, scan in scans.items() if scan}


def _copy_model(evidence: Evidence, folder: Path) -> None:
    """The file that was measured, and what serves it; the Modelfile names this very file."""
    model = evidence.model
    shutil.copy2(model.file(evidence.file), folder / evidence.file)
    for name in ("settings.json", "Modelfile"):
        if (model.path / name).is_file():
            shutil.copy2(model.file(name), folder / name)
    modelfile = folder / "Modelfile"
    if modelfile.is_file():
        text = modelfile.read_text(encoding="utf-8")
        modelfile.write_text(
            re.sub(r"^FROM .*$", f"FROM ./{evidence.file}", text, count=1, flags=re.MULTILINE), encoding="utf-8"
        )
