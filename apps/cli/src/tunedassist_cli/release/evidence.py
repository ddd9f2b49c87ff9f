"""What is known of a model: what it was made from, how it was measured and attacked. Found by digests."""

import hashlib
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ta_schemas import Artifact, ArtifactError, InputError, Parent
from ta_schemas.reports import Comparison, EvalReport, ItemSetReport
from tunedassist_cli.release.found import Found
from tunedassist_cli.release.thresholds import ReleaseDomain, load_release_domain


class Measured(NamedTuple):
    """The released file beside the base model on one of the domain's item sets."""

    comparison: Comparison
    items: ItemSetReport
    report: Artifact
    answers: Artifact
    """The predictions of the released file."""


@dataclass(frozen=True)
class Evidence:
    """Everything the gate and the model card speak of. What is None or missing was not found."""

    domain: ReleaseDomain
    model: Artifact
    file: str
    """The GGUF file that is released: the one its Modelfile names."""
    line: list[str]
    """Digests of the model and of what it was made from, the base model excluded, nearest first."""
    base: str
    """Digest of the base model."""
    parts: list[Artifact]
    """All artifacts the model was made from that lie in the run, nearest first."""
    item_sets: dict[str, str]
    """`benchmark` and `general`: sha256 of the domain's file."""
    measured: dict[str, Measured]
    reports: list[Artifact]
    """Evaluation reports about the model or what it was made from, the newest first."""
    safety: Artifact | None
    base_safety: Artifact | None

    @property
    def base_name(self) -> str:
        """As training and export call the base model; empty where nothing says it."""
        return str(settings_of(self.model).get("base_model", {}).get("name", ""))


def find_evidence(run: Path, domain: Path, *, model: Path | None = None) -> Evidence:
    """Look at everything sealed below `run`. Raises InputError and ArtifactError; a report that is not there
    is no error here, it fails the gate."""
    if not run.is_dir():
        raise InputError(f"{run}: no such run: give its folder, such as runs/linux-cli")
    chosen = model or next(
        (place for place in (run / "all" / "gguf", run / "gguf") if place.exists()), run / "gguf"
    )
    if not chosen.exists():
        raise InputError(
            f"{chosen}: no model to release: tunedassist serve export {run}/adapter --out {run}/gguf"
        )
    settings = load_release_domain(domain)
    artifact = Artifact.open(chosen, kind="gguf")
    found = Found(run)
    line, parts, roots = _climb(artifact, found)
    base = str(settings_of(artifact).get("base_model", {}).get("digest", "")) or next(iter(roots), "")
    sets = {
        name: hashlib.sha256((domain / file).read_bytes()).hexdigest()
        for name, file in (("benchmark", settings.benchmark), ("general", settings.general))
        if file and (domain / file).is_file()
    }
    file = _served_file(artifact)
    reports = [one for one in found.of_kind("eval-report") if _models_of(one, found) & set(line)]
    scans = found.of_kind("safety-report")
    evidence = Evidence(
        domain=settings,
        model=artifact,
        file=file,
        line=line,
        base=base,
        parts=parts,
        item_sets=sets,
        measured={},
        reports=reports,
        safety=next((scan for digest in line for scan in scans if attacked(scan) == digest), None),
        base_safety=next((scan for scan in scans if attacked(scan) == base), None),
    )
    evidence.measured.update(_measured(evidence, found))
    answers = [measured.answers for measured in evidence.measured.values()]
    for one in (*parts, *reports, *answers, *filter(None, (evidence.safety, evidence.base_safety))):
        one.verify()
    return evidence


def attacked(scan: Artifact) -> str:
    """The digest of the model that a safety report is about."""
    target = scan.manifest.config.get("target", {})
    return str(target.get("model", ""))


def settings_of(artifact: Artifact) -> dict[str, Any]:
    """`settings.json` of a model; empty where it has none."""
    file = artifact.path / "settings.json"
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return loaded


def answered_by(predictions: Artifact) -> str:
    """The digest of the model whose answers these are."""
    parents = predictions.manifest.parents
    return (
        parents[0].digest if parents else str(predictions.manifest.config.get("target", {}).get("digest", ""))
    )


def sides(report: Artifact, found: Found) -> Iterator[tuple[str, str, Artifact]]:
    """Item set, system and predictions of an evaluation report. Its parents are its predictions, in order."""
    config = report.manifest.config.get("item_sets", {})
    members = [(items, name) for items, names in config.items() for name in names]
    parents = [parent.digest for parent in report.manifest.parents]
    if len(members) == len(parents):
        for (items, name), digest in zip(members, parents, strict=True):
            for predictions in found.by_digest.get(digest, ()):
                if predictions.manifest.config.get("name") == name:
                    yield items, name, predictions
                    break


def _models_of(report: Artifact, found: Found) -> set[str]:
    return {answered_by(predictions) for _, _, predictions in sides(report, found)}


def _climb(model: Artifact, found: Found) -> tuple[list[str], list[Artifact], list[str]]:
    """Breadth first through the parents: models of the line, artifacts in the run, models without parents."""
    line, parts, roots = [model.digest], [], []
    waiting, seen = deque[Parent](model.manifest.parents), {model.digest}
    while waiting:
        parent = waiting.popleft()
        if parent.digest in seen:
            continue
        seen.add(parent.digest)
        there = found.first(parent.digest)
        if there:
            parts.append(there)
            waiting.extend(there.manifest.parents)
        if parent.kind == "adapter" or (parent.kind == "model" and there and there.manifest.parents):
            line.append(parent.digest)
        elif parent.kind == "model":
            roots.append(parent.digest)
    return line, parts, roots


def _served_file(model: Artifact) -> str:
    """What the Modelfile names; without one (some templates have none) the only file, or Q8_0."""
    names = [entry.path for entry in model.manifest.files if entry.path.endswith(".gguf")]
    names = [name for name in names if name in model.manifest.metrics.get("files", {name: {}})]
    if (model.path / "Modelfile").is_file():
        said = re.search(r"^FROM \./(\S+)$", model.file("Modelfile").read_text(encoding="utf-8"), re.MULTILINE)
        if said and said[1] in names:
            return said[1]
    served = [name for name in names if "Q8_0" in name] or names
    if not served:
        raise ArtifactError(f"{model.path}: a gguf artifact that names no model file: export it again")
    return served[0]


def _measured(evidence: Evidence, found: Found) -> Iterator[tuple[str, Measured]]:
    """For each item set of the domain the newest report that compares the released file with the base model."""
    for name, sha256 in evidence.item_sets.items():
        for report in evidence.reports:
            by_name: dict[str, dict[str, Artifact]] = {}
            for items, system, predictions in sides(report, found):
                if predictions.manifest.config.get("benchmark", {}).get("sha256") == sha256:
                    by_name.setdefault(items, {})[system] = predictions
            content = read_report(report)
            known = [
                Measured(comparison, items, report, by_name[items.name][comparison.candidate])
                for items in content.item_sets
                for comparison in items.comparisons
                if {comparison.baseline, comparison.candidate} <= by_name.get(items.name, {}).keys()
                and is_plain(by_name[items.name][comparison.baseline], evidence.base)
                and is_released(by_name[items.name][comparison.candidate], evidence)
            ]
            if known:
                yield name, known[0]
                break


def is_plain(predictions: Artifact, digest: str) -> bool:
    """Whether this model answered by itself: without examples in the prompt, and without retrieved passages."""
    added = predictions.manifest.config.get("target", {}).keys() - {"model", "digest", "base_digest", "file"}
    return answered_by(predictions) == digest and not added


def is_released(predictions: Artifact, evidence: Evidence) -> bool:
    """Whether these are answers of the very file that is released."""
    said = predictions.manifest.config.get("target", {}).get("file", "")
    only = sum(entry.path.endswith(".gguf") for entry in evidence.model.manifest.files) == 1
    return is_plain(predictions, evidence.model.digest) and (said == evidence.file or (not said and only))


def read_report(report: Artifact) -> EvalReport:
    """The content of an evaluation report; one of a judge alone has no comparisons."""
    if not any(entry.path == "report.json" for entry in report.manifest.files):
        return EvalReport(title="", item_sets=[])
    return EvalReport.model_validate_json(report.file("report.json").read_text(encoding="utf-8"))
