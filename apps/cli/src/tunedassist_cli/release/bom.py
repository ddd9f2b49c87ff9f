"""The bill of materials: the model, its base, its data and the programs that made it, as a CycloneDX ML-BOM."""

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from ta_schemas import Artifact
from ta_schemas.errors import SetupError
from tunedassist_cli.release.evidence import Evidence
from tunedassist_cli.release.front_matter import licence_of

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

PACKAGES = re.compile(r"[a-z][a-z0-9_]*")
NOT_PACKAGES = {"platform", "processor", "cpu_threads", "processes", "base_model_path", "device"}
"""Keys of a manifest's environment that name the machine; the others are programs with their versions."""


def bill_of_materials(evidence: Evidence) -> str:
    """The ML-BOM as JSON of CycloneDX 1.6 (ECMA-424, https://cyclonedx.org/docs/1.6/json/).

    The same evidence gives the same text: serial number and time follow from the model. Raises SetupError
    where the library is not installed.
    """
    try:
        from cyclonedx.model.bom import Bom, BomMetaData
        from cyclonedx.output import make_outputter
        from cyclonedx.schema import OutputFormat, SchemaVersion
    except ImportError:
        raise SetupError("cyclonedx is not installed: install tunedassist-cli[release]") from None
    model = _model(evidence)
    base = _component("machine-learning-model", evidence.base_name or "base model", evidence.base)
    data = [
        _component("data", f"{evidence.domain.name} {part.manifest.kind}", part.digest, _licence(part))
        for part in evidence.parts
        if part.manifest.kind in ("dataset", "preferences", "corpus")
    ]
    programs = [_library(name, version) for name, version in sorted(_programs(evidence).items())]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, evidence.model.digest),
        metadata=BomMetaData(component=model, timestamp=evidence.model.manifest.created_at),
        components=[base, *data, *programs],
    )
    bom.register_dependency(model, [base, *data, *programs])
    written = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    # The library has no class for the model card yet (its issue tracker says so); the schema has it.
    written["metadata"]["component"]["modelCard"] = _model_card(evidence, data)
    return json.dumps(written, indent=2, sort_keys=True) + "\n"


def _model(evidence: Evidence) -> "Component":
    files = {entry.path: entry.sha256 for entry in evidence.model.manifest.files}
    model = _component(
        "machine-learning-model",
        f"{evidence.domain.name} assistant",
        evidence.model.digest,
        licence_of(evidence),
        sha256=files[evidence.file],
    )
    model.description = evidence.domain.scope or None
    return model


def _component(kind: str, name: str, digest: str, licence: str = "", *, sha256: str = "") -> "Component":
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        type=ComponentType(kind),
        name=name,
        version=digest.removeprefix("sha256:")[:12] or None,
        bom_ref=digest or name,
        licenses=[LicenseFactory().make_from_string(licence)] if licence else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else None,
        properties=[Property(name="tunedassist:digest", value=digest)] if digest else None,
    )


def _library(name: str, version: str) -> "Component":
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    kind = ComponentType.PLATFORM if name == "python" else ComponentType.LIBRARY
    # Ours are in no registry: a purl would point to whatever is published under the name one day.
    ours = name.startswith(("ta-", "tunedassist"))
    purl = None if ours or name == "python" else PackageURL("pypi", name=name, version=version)
    return Component(type=kind, name=name, version=version, bom_ref=f"pkg:{name}@{version}", purl=purl)


def _programs(evidence: Evidence) -> dict[str, str]:
    """Name and version of what made the model, as its manifests recorded them."""
    found: dict[str, str] = {}
    for artifact in (*reversed(evidence.parts), evidence.model):
        producer, _, version = artifact.manifest.producer.rpartition(" ")
        found[producer or artifact.manifest.producer] = version if producer else ""
        for key, value in artifact.manifest.environment.items():
            if key not in NOT_PACKAGES and PACKAGES.fullmatch(key) and isinstance(value, str):
                found[key.replace("_", "-")] = value
    return found


def _licence(part: Artifact) -> str:
    return str(part.manifest.config.get("license", ""))


def _model_card(evidence: Evidence, data: list["Component"]) -> dict[str, Any]:
    metrics = []
    for name, found in evidence.measured.items():
        accuracy = next(s for s in found.items.systems if s.name == found.comparison.candidate).accuracy
        ends = {"lowerBound": str(accuracy.low), "upperBound": str(accuracy.high)}
        metrics.append(
            {"type": "accuracy", "value": str(accuracy.estimate), "slice": name, "confidenceInterval": ends}
        )
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "text-generation",
            "datasets": [{"ref": str(component.bom_ref.value)} for component in data],
        },
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": {"useCases": [evidence.domain.scope]} if evidence.domain.scope else {},
    }
