"""The model card: written from the artifacts alone; what they do not hold is said to be missing."""

import json
from typing import Any

from ta_schemas import Artifact
from tunedassist_cli.release import attacks
from tunedassist_cli.release.condition import Verdict, percent, points
from tunedassist_cli.release.evidence import Evidence, read_report, settings_of
from tunedassist_cli.release.front_matter import front_matter, hub_id, licence_of

SETTINGS = ("lora_rank", "lora_alpha", "learning_rate", "batch_size", "epochs", "max_steps", "seed")
"""Of a training, the settings that a reader looks for; the manifest has all."""
WEAK_ITEMS = 5
"""A category with fewer items says too little to be called weak."""


def model_card(evidence: Evidence, verdict: Verdict) -> str:
    """Front matter and text, as Markdown."""
    domain = evidence.domain
    sections = {
        "Capabilities": _capabilities(evidence),
        "Evaluation": _evaluation(evidence),
        "Limitations": _limitations(evidence),
        "Safety": _safety(evidence),
        "Data": _data(evidence),
        "Training": _training(evidence),
        "Environment": _environment(evidence),
        "Release gate": [f"- {condition.told()}" for condition in verdict.conditions],
        "Origin": _origin(evidence),
    }
    text = [front_matter(evidence), f"# {domain.title or domain.name}: a tuned assistant", ""]
    for title, lines in sections.items():
        text += [f"## {title}", "", *lines, ""]
    return "\n".join(text).rstrip() + "\n"


def _capabilities(evidence: Evidence) -> list[str]:
    said = settings_of(evidence.model)
    generation = said.get("generation", {})
    base = hub_id(evidence.base_name) or evidence.base_name
    entry = evidence.model.manifest.metrics.get("files", {}).get(evidence.file, {})
    return [
        evidence.domain.scope or "Scope: missing (`scope` in domain.yaml).",
        "",
        f"- tuned from: {base or 'missing'}",
        f"- file: `{evidence.file}`, {entry.get('type', 'type missing')}, "
        f"{format(entry['bits_per_weight'], '.2f') if 'bits_per_weight' in entry else 'missing'} bits a weight",
        f"- licence: {licence_of(evidence) or 'missing (`--license` of the export)'}",
        f"- language: {evidence.domain.language}",
        f"- answers of at most {generation.get('max_tokens', 'missing')} tokens, "
        f"temperature {generation.get('temperature', 'missing')}",
        f"- out of scope it is meant to say: {evidence.domain.refusal or 'missing'}",
        "",
        "System prompt it was tuned and measured with:",
        "",
        f"> {said.get('system_prompt') or 'missing'}",
        "",
        "```bash",
        f"tunedassist chat {evidence.file}",
        f"tunedassist-api --model {evidence.file} --guard DOMAIN",
        "```",
    ]


def _evaluation(evidence: Evidence) -> list[str]:
    if not evidence.measured:
        return ["Missing: the released file has not answered the domain's questions."]
    lines = [
        "Right answers, in per cent, with 95 % intervals; differences are paired, item by item.",
        "",
        "| questions | n | base model | this model | difference | verdict |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, found in evidence.measured.items():
        one = found.comparison
        scores = {system.name: system.accuracy for system in found.items.systems}
        lines.append(
            f"| {name} | {one.items} | {percent(scores[one.baseline])} | "
            f"{percent(scores[one.candidate])} | {points(one.difference)} | {one.verdict} |"
        )
    for name in ("benchmark", "general"):
        if name not in evidence.measured:
            lines += ["", f"Missing: the {name} questions."]
    others = [row for name in evidence.measured for row in _other_systems(evidence, name)]
    if others:
        lines += [
            "",
            "Beside it, on the same questions:",
            "",
            "| system | questions | right |",
            "| --- | --- | ---: |",
        ]
        lines += others
    return lines


def _other_systems(evidence: Evidence, name: str) -> list[str]:
    comparison = evidence.measured[name].comparison
    ours = (comparison.baseline, comparison.candidate)
    systems = [one for one in evidence.measured[name].items.systems if one.name not in ours]
    return [f"| {one.name} | {name} | {percent(one.accuracy)} |" for one in systems]


def _limitations(evidence: Evidence) -> list[str]:
    lines = []
    found = evidence.measured.get("benchmark")
    if found:
        ours = next(system for system in found.items.systems if system.name == found.comparison.candidate)
        counts = _category_sizes(found.comparison.model_extra or {})
        weak = sorted(
            (interval.estimate, name, interval)
            for name, interval in ours.by_category.items()
            if counts.get(name, 0) >= WEAK_ITEMS and interval.estimate < ours.accuracy.estimate
        )[:3]
        lines += [
            f"- weak on {name}: {percent(interval)} right, n = {counts[name]}" for _, name, interval in weak
        ]
        effect = 100 * found.comparison.minimum_detectable_effect
        lines.append(f"- a difference of less than {effect:.1f} points could go unseen on this benchmark")
        lines += [f"- {note}" for note in read_report(found.report).notes]
    lines += [f"- not looked at: {line}" for line in _scan(evidence.safety).get("not_covered", [])]
    return lines or ["Missing: nothing was measured."]


def _safety(evidence: Evidence) -> list[str]:
    if evidence.safety is None:
        return ["Missing: the model was not attacked. It is meant to run behind the guard (ta-safety)."]
    found = attacks.read_scan(evidence.safety)
    rows = [("this model", found)]
    if evidence.base_safety:
        rows.append(("base model", attacks.read_scan(evidence.base_safety)))
    lines = [
        "| | attacks | succeed, bare | succeed, guarded | harmless refused |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {one.attempts} | {percent(one.raw)} | {percent(one.guarded)} | "
            f"{percent(one.refused)} of {one.harmless} |"
            for name, one in rows
        ),
    ]
    if evidence.base_safety is None:
        lines += ["", "Missing: the base model was not attacked."]
    worst = _scan(evidence.safety).get("worst", [])
    if worst:
        lines += ["", "What gets through the guard: " + ", ".join(f"`{one['id']}`" for one in worst) + "."]
    return [*lines, "", "Success is told by detectors, not by people."]


def _data(evidence: Evidence) -> list[str]:
    lines = []
    for part in evidence.parts:
        if part.manifest.kind not in ("dataset", "preferences"):
            continue
        config, metrics = part.manifest.config, part.manifest.metrics
        rows = metrics.get("rows", metrics.get("pairs"))
        counts = (
            ", ".join(f"{count} {split}" for split, count in rows.items()) if isinstance(rows, dict) else rows
        )
        told = [f"- {part.manifest.kind} {part.digest[7:19]}: rows {counts or 'missing'}"]
        if part.manifest.kind == "dataset":  # pairs are made of a dataset, which has them
            told += [
                f"licence {config.get('license') or 'missing'}",
                f"{len(config.get('inputs', []))} source files",
            ]
        lines.append("; ".join([*told, f"made by {part.manifest.producer}"]))
    return lines or ["Missing: no dataset lies in the run."]


def _training(evidence: Evidence) -> list[str]:
    lines = []
    for part in evidence.parts:
        if part.manifest.kind != "adapter":
            continue
        config, metrics = part.manifest.config, part.manifest.metrics
        method, settings = next(
            ((key, value) for key, value in config.items() if isinstance(value, dict)), ("", {})
        )
        told = ", ".join(f"{key} {settings[key]}" for key in SETTINGS if key in settings)
        numbers = [
            f"{key} {value:.0f}" if abs(value) >= 1000 else f"{key} {value:.4g}"  # no 4.884e+06
            for key, value in metrics.items()
            if type(value) in (int, float)
        ]
        lines += [
            f"- {method or 'method missing'}: {told or 'settings missing'}",
            f"- {', '.join(numbers) or 'numbers of the run missing'}",
            *([f"- {metrics['fit']}"] if "fit" in metrics else []),
        ]
    return lines or ["Missing: no adapter lies in the run."]


def _environment(evidence: Evidence) -> list[str]:
    lines = []
    for part in (*reversed(evidence.parts), evidence.model):
        if part.manifest.kind not in ("adapter", "model", "gguf"):
            continue
        said = {key: value for key, value in part.manifest.environment.items() if not key.endswith("_path")}
        told = ", ".join(f"{key} {value}" for key, value in said.items())
        lines.append(f"- {part.manifest.kind} by {part.manifest.producer}: {told or 'missing'}")
    return [*lines, "- energy used: missing (it is not measured)"]


def _origin(evidence: Evidence) -> list[str]:
    reports = {found.report.digest: found.report for found in evidence.measured.values()}
    scans = [scan for scan in (evidence.safety, evidence.base_safety) if scan]
    lines = [
        f"- {one.manifest.kind} `{one.digest}`"
        for one in (evidence.model, *evidence.parts, *reports.values(), *scans)
    ]
    return [
        *lines,
        f"- base model `{evidence.base or 'missing'}`",
        "",
        "`tunedassist lineage` draws and checks it.",
    ]


def _category_sizes(extra: dict[str, Any]) -> dict[str, int]:
    return {name: int(one.get("items", 0)) for name, one in extra.get("by_category", {}).items()}


def _scan(scan: Artifact | None) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(scan.file("report.json").read_text(encoding="utf-8")) if scan else {}
    return loaded
