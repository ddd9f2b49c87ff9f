"""The YAML head of the model card: what the Hugging Face Hub reads."""

from typing import Any

import yaml

from tunedassist_cli.release.evidence import Evidence

HUB_IDS = {"smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""The embedded base model on the Hub; others are called by their hub id, or by a folder that has none."""


def front_matter(evidence: Evidence) -> str:
    """The head with its fences. A key that nothing is known for is left out; the card's text says so."""
    domain, licence = evidence.domain, licence_of(evidence)
    head: dict[str, Any] = {
        "language": [domain.language],
        "license": licence.lower() or None,
        "base_model": hub_id(evidence.base_name) or None,
        "library_name": "gguf",
        "pipeline_tag": "text-generation",
        "tags": ["conversational", "gguf", "tunedassist", domain.name],
        "model-index": _model_index(evidence) or None,
    }
    known = {key: value for key, value in head.items() if value is not None}
    return f"---\n{yaml.safe_dump(known, sort_keys=False, allow_unicode=True)}---\n"


def hub_id(base_name: str) -> str:
    """The base model's id on the Hub; empty where it has none."""
    return HUB_IDS.get(base_name, base_name if base_name.count("/") == 1 else "")


def licence_of(evidence: Evidence) -> str:
    """The licence that the export was given; empty without one."""
    return str(evidence.model.manifest.config.get("export", {}).get("licence", ""))


def _model_index(evidence: Evidence) -> list[dict[str, Any]]:
    results = []
    for name, measured in evidence.measured.items():
        answers = measured.answers.manifest
        results.append(
            {
                "task": {"type": "text-generation"},
                "dataset": {
                    "type": evidence.domain.name,
                    "name": f"{evidence.domain.title or evidence.domain.name}: {name}",
                    "revision": evidence.item_sets[name],
                },
                "metrics": [
                    {"type": "accuracy", "name": "accuracy", "value": answers.metrics["accuracy"]["estimate"]}
                ],
            }
        )
    return [{"name": f"{evidence.domain.name} assistant", "results": results}] if results else []
