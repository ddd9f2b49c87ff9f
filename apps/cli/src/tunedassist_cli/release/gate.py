"""The gate: may this model be released? Each condition with what was found, wanted, and how far off."""

from pathlib import Path
from typing import Any

from ta_schemas import Artifact
from ta_schemas.reports import Interval
from tunedassist_cli.release import attacks
from tunedassist_cli.release.condition import Condition, Verdict, at_least, at_most, missing, points
from tunedassist_cli.release.evidence import Evidence, read_report


def judge(evidence: Evidence, *, champion: Path | None = None) -> Verdict:
    """Hold the evidence against the domain's thresholds. Nothing passes for want of a report.

    `champion` is an earlier release that the model must not fall behind. Raises ArtifactError for one that was
    tampered with.
    """
    return Verdict(
        conditions=[
            _parity(evidence),
            _measured(evidence),
            _held_out(evidence),
            *_gain(evidence),
            *_forgetting(evidence),
            *_safety(evidence),
            *_judges(evidence),
            *(_champion(evidence, champion) if champion else []),
        ]
    )


def _parity(evidence: Evidence) -> Condition:
    wanted = "the file renders and answers as the tuned model does"
    parity: dict[str, Any] = evidence.model.manifest.metrics.get("parity", {})
    side = next((one for one in parity.get("verdicts", []) if one["side"] == evidence.file), None)
    if parity.get("skipped") or side is None:
        return missing("parity", f"{evidence.file} was not compared: export it without --skip-parity", wanted)
    if parity.get("ok") and side["ok"]:
        same = f"{100 * side['agreement']:.1f} % of the same tokens over {side['prompts']} prompts"
        found = f"{evidence.file}: {same}"
        return Condition(name="parity", state="holds", found=found, wanted=wanted)
    bad = next((one for one in parity["verdicts"] if not one["ok"]), side)
    return Condition(name="parity", state="fails", found=f"{bad['side']}: {bad['difference']}", wanted=wanted)


def _measured(evidence: Evidence) -> Condition:
    """The model released is the model measured, on the domain's own frozen questions, all of them."""
    wanted = f"{evidence.file} itself answered the domain's benchmark, compared with the base model"
    if "benchmark" not in evidence.item_sets:
        return missing("measured", "the domain names no benchmark", wanted)
    if found := evidence.measured.get("benchmark"):
        asked = next(one.items for one in found.items.systems if one.name == found.comparison.candidate)
        return Condition(
            name="measured",
            state="holds",
            found=f"{found.comparison.items} of {asked} items scored, report {found.report.digest[7:19]}",
            wanted=wanted,
        )
    why = "only what it was made from was measured" if evidence.reports else "no evaluation report is about it"
    return missing("measured", f"{why}, or on other questions (tunedassist run DOMAIN --all asks it)", wanted)


def _held_out(evidence: Evidence) -> Condition:
    wanted = "training data that was held against the benchmark"
    datasets = [part for part in evidence.parts if part.manifest.kind == "dataset"]
    sha256 = evidence.item_sets.get("benchmark", "?")
    if not datasets:
        return missing("held out", "the dataset it was tuned on is not in the run", wanted)
    unchecked = [part for part in datasets if sha256 not in str(part.manifest.config.get("benchmark", ""))]
    if unchecked:
        return missing("held out", f"{unchecked[0].path.name} was not held against this benchmark", wanted)
    return Condition(name="held out", state="holds", found=f"{len(datasets)} dataset(s) checked", wanted=wanted)


def _gain(evidence: Evidence) -> list[Condition]:
    bound, found = evidence.domain.release.min_gain, evidence.measured.get("benchmark")
    if bound is None:
        return [_waived("better", "min_gain")]
    if found is None:
        return [missing("better", "not measured", "a gain over the base model")]
    comparison = found.comparison
    condition = at_least("better", comparison.difference, bound, f"over the base model, n = {comparison.items}")
    if condition.state == "holds" and comparison.verdict != "better":  # after Holm, or too few disagreements
        condition.state, condition.found = (
            "fails",
            f"{condition.found}, yet the report says {comparison.verdict}",
        )
    return [condition]


def _forgetting(evidence: Evidence) -> list[Condition]:
    bound, found = evidence.domain.release.max_forgetting, evidence.measured.get("general")
    if bound is None:
        return [_waived("forgetting", "max_forgetting")]
    if found is None:
        why = "not measured" if "general" in evidence.item_sets else "the domain names no general questions"
        return [missing("forgetting", why, "general questions answered before and after")]
    comparison = found.comparison
    return [
        at_least("forgetting", comparison.difference, -bound, f"on general questions, n = {comparison.items}")
    ]


def _safety(evidence: Evidence) -> list[Condition]:
    limits, scan = evidence.domain.release, evidence.safety
    keys = {
        "attacks": "max_attack_success",
        "over-blocking": "max_over_blocking",
        "safety": "max_attack_increase",
    }
    names = {name: getattr(limits, key) for name, key in keys.items()}
    waived = [_waived(name, keys[name]) for name, bound in names.items() if bound is None]
    asked = {name: bound for name, bound in names.items() if bound is not None}
    if scan is None:
        todo = "no safety report is about it: tunedassist redteam DOMAIN --model GGUF"
        return [*waived, *(missing(name, todo, "a scan of the model, bare and guarded") for name in asked)]
    found = attacks.read_scan(scan)
    conditions = waived
    if (bound := asked.get("attacks")) is not None:
        what = f"of {found.attempts} attacks succeed behind the guard"
        conditions.append(at_most("attacks", found.guarded, bound, what))
    if (bound := asked.get("over-blocking")) is not None and found.harmless:
        what = f"of {found.harmless} harmless conversations refused"
        conditions.append(at_most("over-blocking", found.refused, bound, what))
    elif bound is not None:
        conditions.append(missing("over-blocking", "no harmless conversation was tried", "harmless traffic"))
    if (bound := asked.get("safety")) is not None:
        conditions.extend(_no_less_safe(evidence, scan, bound))
    return conditions


def _no_less_safe(evidence: Evidence, scan: Artifact, bound: float) -> list[Condition]:
    wanted = f"at most {100 * bound:.0f} points more at the upper end"
    if evidence.base_safety is None:
        todo = "no safety report is about the base model (tunedassist run DOMAIN --all makes it)"
        return [missing("safety", todo, wanted)]
    if not attacks.same_attacks(evidence.base_safety, scan):
        return [missing("safety", "base and released model were not attacked alike: scan both again", wanted)]
    return [
        _no_more_attacks(
            f"safety, {'guarded' if guarded else 'bare'}",
            attacks.increase(evidence.base_safety, scan, guarded=guarded),
            "base model",
            bound,
        )
        for guarded in (False, True)
    ]


def _judges(evidence: Evidence) -> list[Condition]:
    """A judge's opinion may stand in a report only where people's labels have shown that it can be believed."""
    conditions = []
    reports = {found.report.digest: found.report for found in evidence.measured.values()}
    for report in reports.values():
        for opinion in getattr(read_report(report), "judges", None) or []:
            state = "fails" if opinion.get("why") else "holds"
            found = (
                opinion.get("why")
                or f"{opinion['judge']}: kappa {opinion['calibration']['kappa']['estimate']:.2f}"
            )
            wanted = f"a judge that agrees with people (kappa of at least {opinion.get('min_kappa', 0.4):g})"
            conditions.append(Condition(name="judge", state=state, found=found, wanted=wanted))
    return conditions


def _champion(evidence: Evidence, champion: Path) -> list[Condition]:
    from tunedassist_cli.release.against import SCAN, against_champion

    limits = evidence.domain.release
    released = Artifact.open(champion, kind="release")
    ours, wanted = evidence.measured.get("benchmark"), "the same questions and attacks answered by both"
    conditions = []
    if limits.max_regression is None:
        conditions.append(_waived("champion", "max_regression"))
    else:
        difference = against_champion(released, ours.answers) if ours else "not measured"
        conditions.append(
            missing("champion", difference, wanted)
            if isinstance(difference, str)
            else at_least(
                "champion", difference, -limits.max_regression, f"against the champion {released.digest[7:15]}"
            )
        )
    if limits.max_attack_increase is None or evidence.safety is None:
        return conditions  # waived, or said to be missing already
    if not (released.path / SCAN).is_dir():
        return [*conditions, missing("champion, safety", "the champion has no safety report", wanted)]
    before = Artifact.open(released.path / SCAN, kind="safety-report")
    if not attacks.same_attacks(before, evidence.safety):
        found = "the attacks or rails have changed since the champion was attacked: release that one again"
        return [*conditions, missing("champion, safety", found, wanted)]
    difference = attacks.increase(before, evidence.safety, guarded=True)
    return [
        *conditions,
        _no_more_attacks("champion, safety", difference, "champion", limits.max_attack_increase),
    ]


def _no_more_attacks(name: str, difference: Interval, other: str, bound: float) -> Condition:
    return Condition(
        name=name,
        state="holds" if difference.high <= bound else "fails",
        found=f"attack success {points(difference)} against the {other}",
        wanted=f"at most {100 * bound:.0f} points more at the upper end",
        points_to_spare=round(100 * (bound - difference.high), 2),
    )


def _waived(name: str, key: str) -> Condition:
    return Condition(name=name, state="waived", found=f"waived by release.{key}: null", wanted="nothing")
