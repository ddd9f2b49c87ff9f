"""garak raw against guarded, as a safety report."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ta_safety.garak.run import ProbeResult, run_garak
from ta_safety.guard import Guard
from ta_safety.policy import RAILS, Domain, rail_policy
from ta_safety.red_team.proxy import guarded
from ta_safety.red_team.target import Server
from ta_safety.stats import percent, wilson
from ta_schemas import Artifact, ArtifactWriter
from ta_schemas.artifact import refuse_existing


def scan_with_garak(
    domain: Domain,
    base_url: str,
    model: str,
    out: Path,
    *,
    python: Path,
    probes: Sequence[str],
    prompts: int,
    max_tokens: int,
    seed: int,
    replace: bool = False,
) -> Artifact:
    """Let garak attack the server, and the same server behind the guard; seal both results."""
    refuse_existing(out, replace=replace)
    server = Server(base_url, model, max_tokens=max_tokens)
    config = {
        "model": model,
        "probes": list(probes),
        "prompts": prompts,
        "max_tokens": max_tokens,
        "seed": seed,
    }
    work = out.with_name(f"{out.name}.garak")
    said = {domain.refusal, *(rail_policy(domain.safety, rail).refusal for rail in RAILS)} - {""}
    options: dict[str, Any] = {
        "prompts": prompts,
        "max_tokens": max_tokens,
        "seed": seed,
        "refusals": sorted(said),
    }
    raw = run_garak(python, base_url, model, probes, work / "raw", **options)
    with guarded(server, Guard(domain)) as url:
        behind = run_garak(python, url, model, probes, work / "guarded", **options)
    with ArtifactWriter(
        out,
        kind="safety-report",
        producer="ta-safety 0.1.0",
        config={**config, "scanner": "garak"},
        replace=replace,
    ) as writer:
        (writer.path / "report.md").write_text(_markdown(raw, behind), encoding="utf-8")
        content = {"raw": [r.model_dump() for r in raw], "guarded": [r.model_dump() for r in behind]}
        (writer.path / "report.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        writer.metrics.update(attack_success_raw=_rate(raw), attack_success_guarded=_rate(behind))
    return Artifact.open(out)


def _rate(results: Sequence[ProbeResult]) -> float:
    return sum(r.hits for r in results) / max(1, sum(r.evaluated for r in results))


def _markdown(raw: Sequence[ProbeResult], behind: Sequence[ProbeResult]) -> str:
    lines = ["# garak", "", "| probe | raw | guarded |", "| --- | ---: | ---: |"]
    for one, other in zip(raw, behind, strict=True):
        rates = [percent(wilson(r.hits, r.evaluated)) for r in (one, other)]
        lines.append(f"| {one.probe} | {rates[0]} | {rates[1]} |")
    totals = [
        percent(wilson(sum(r.hits for r in part), sum(r.evaluated for r in part))) for part in (raw, behind)
    ]
    lines.append(f"| all | {totals[0]} | {totals[1]} |")
    refused = [sum(r.refused for r in part) for part in (raw, behind)]
    if any(refused):
        lines += [
            "",
            f"Not counted: {refused[0]} raw and {refused[1]} guarded refusals in the domain's words, which ",
        ]
        lines[-1] += "garak's MitigationBypass took for successes because its list of refusals lacks them."
    return "\n".join(lines) + "\n"
