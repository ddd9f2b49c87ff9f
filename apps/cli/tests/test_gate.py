import json
import shutil

import pytest
from release_fixtures import BASE, ITEMS, attack, make_release_domain, make_run

from ta_schemas import Artifact, ArtifactError, InputError
from tunedassist_cli.release.evidence import find_evidence
from tunedassist_cli.release.gate import judge


def set_threshold(workplace, line):
    """Put a line under `release:` in place of the one of that key, if there is one."""
    file = workplace / "data" / "tiny" / "domain.yaml"
    key = line.partition(":")[0]
    kept = [one for one in file.read_text().splitlines() if not one.startswith(f"  {key}:")]
    file.write_text("\n".join([*kept, f"  {line}"]) + "\n")


def conditions(workplace, *, run="tiny", champion=None):
    """The gate's conditions by name."""
    verdict = judge(
        find_evidence(workplace / "runs" / run, workplace / "data" / "tiny"),
        champion=champion,
    )
    return {condition.name: condition for condition in verdict.conditions}


def reseal(folder, change):
    """Change the manifest of an artifact, which its digest does not cover."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def test_a_run_with_all_its_evidence_passes(workplace):
    found = conditions(workplace)
    assert {name: condition.state for name, condition in found.items()} == dict.fromkeys(
        [
            *("parity", "measured", "held out", "better", "forgetting", "attacks", "over-blocking"),
            *("safety, bare", "safety, guarded"),
        ],
        "holds",
    )


@pytest.mark.parametrize(
    ("line", "name", "points"),
    [
        ("max_attack_success: 0.1", "attacks", -14.25),
        ("max_over_blocking: 0.05", "over-blocking", -3.76),
        ("max_attack_increase: 0.1", "safety, guarded", -14.25),
    ],
)
def test_a_condition_fails_at_the_bad_end_of_its_interval_and_says_by_how_much(workplace, line, name, points):
    set_threshold(workplace, line)
    condition = conditions(workplace)[name]
    assert condition.state == "fails"
    assert condition.points_to_spare == pytest.approx(points, abs=0.01)
    assert f"fails by {-condition.points_to_spare:.1f} points" in condition.told()


def test_a_gain_must_lie_above_the_threshold_with_its_whole_interval(workplace):
    run = make_run(workplace / "data" / "tiny", workplace / "runs" / "half", right=ITEMS // 2)
    condition = conditions(workplace, run=run.name)["better"]
    assert condition.state == "holds"
    set_threshold(workplace, "min_gain: 0.45")
    condition = conditions(workplace, run=run.name)["better"]
    assert condition.state == "fails"
    assert condition.found.startswith("+50.0 points")


def test_two_more_right_answers_are_no_gain(workplace):
    run = make_run(workplace / "data" / "tiny", workplace / "runs" / "little", right=2)
    condition = conditions(workplace, run=run.name)["better"]
    assert condition.state == "fails"


def test_forgetting_fails_where_a_loss_beyond_the_bound_cannot_be_excluded(workplace):
    run = make_run(workplace / "data" / "tiny", workplace / "runs" / "as-before", general=15)
    condition = conditions(workplace, run=run.name)["forgetting"]
    assert condition.state == "holds"
    run = make_run(workplace / "data" / "tiny", workplace / "runs" / "worse", general=8)
    assert conditions(workplace, run=run.name)["forgetting"].state == "fails"
    set_threshold(workplace, "max_forgetting: 0.5")
    assert conditions(workplace, run=run.name)["forgetting"].state == "holds"


def test_a_model_that_obeys_attacks_the_base_model_refuses_is_less_safe(workplace):
    run = make_run(workplace / "data" / "tiny", workplace / "runs" / "obedient", obeys=6)
    condition = conditions(workplace, run=run.name)["safety, bare"]
    assert condition.state == "fails"
    assert condition.found.startswith("attack success +50.0 points")


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("eval-report", {"measured", "better", "forgetting"}),
        ("predictions", {"measured", "better", "forgetting"}),
        ("safety-report", {"attacks", "over-blocking", "safety"}),
        ("safety-base", {"safety"}),
        ("dataset", {"held out"}),
    ],
)
def test_nothing_passes_for_want_of_a_report(workplace, folder, names):
    shutil.rmtree(workplace / "runs" / "tiny" / folder)
    found = conditions(workplace)
    assert {name for name, condition in found.items() if condition.state == "missing"} == names
    assert not any(found[name].passes for name in names)


def test_answers_to_other_questions_than_the_domains_do_not_count(workplace):
    file = workplace / "data" / "tiny" / "benchmark.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    found = conditions(workplace)
    assert (found["measured"].state, found["better"].state) == ("missing", "missing")
    assert found["held out"].state == "missing", "the training data was held against the old benchmark"


def test_answers_of_the_adapter_do_not_stand_for_the_file_that_is_released(workplace):
    run = workplace / "runs" / "tiny"
    adapter = Artifact.open(run / "adapter").digest

    def by_the_adapter(manifest):
        manifest["parents"] = [{"kind": "adapter", "digest": adapter}]
        manifest["config"]["target"]["digest"] = adapter

    reseal(run / "predictions" / "released-benchmark", by_the_adapter)
    condition = conditions(workplace)["measured"]
    assert condition.state == "missing"
    assert "only what it was made from was measured" in condition.found


def test_answers_of_another_file_of_the_export_do_not_count(workplace):
    reseal(
        workplace / "runs" / "tiny" / "predictions" / "released-benchmark",
        lambda manifest: manifest["config"]["target"].update(file="model-F16.gguf"),
    )
    assert conditions(workplace)["measured"].state == "missing"


def test_a_base_model_with_examples_in_its_prompt_is_no_baseline(workplace):
    reseal(
        workplace / "runs" / "tiny" / "predictions" / "base-benchmark",
        lambda manifest: manifest["config"]["target"].update(prompt="Think first."),
    )
    assert conditions(workplace)["measured"].state == "missing"


def test_an_export_without_the_parity_gate_is_missing_it(workplace):
    gguf = workplace / "runs" / "tiny" / "gguf"
    reseal(gguf, lambda manifest: manifest["metrics"].update(parity={"skipped": True}))
    assert conditions(workplace)["parity"].state == "missing"


def test_a_side_that_differs_fails_the_parity_and_is_named(workplace):
    def differ(manifest):
        parity = manifest["metrics"]["parity"]
        parity["ok"] = False
        parity["verdicts"].append({"side": "Ollama's template", "ok": False, "difference": "one space"})

    reseal(workplace / "runs" / "tiny" / "gguf", differ)
    condition = conditions(workplace)["parity"]
    assert (condition.state, condition.found) == ("fails", "Ollama's template: one space")


def test_models_that_were_not_attacked_alike_are_not_compared(workplace):
    reseal(
        workplace / "runs" / "tiny" / "safety-base",
        lambda manifest: manifest["config"].update(seed=7),
    )
    assert conditions(workplace)["safety"].state == "missing"


def test_the_nearest_safety_report_counts_and_one_of_another_model_does_not(workplace):
    run = workplace / "runs" / "tiny"
    shutil.rmtree(run / "safety-report")
    attack(workplace / "data" / "tiny", run / "safety-other", "sha256:" + "f" * 64, 0)
    assert conditions(workplace)["attacks"].state == "missing"
    attack(workplace / "data" / "tiny", run / "safety-adapter", Artifact.open(run / "adapter").digest, 0)
    assert conditions(workplace)["attacks"].state == "holds"


def with_judge(workplace, **opinion):
    """The run's report with the opinion of a judge in it, sealed again."""
    import hashlib

    report = workplace / "runs" / "tiny" / "eval-report"
    content = json.loads((report / "report.json").read_text())
    content["judges"] = [{"judge": "gpt-x", "min_kappa": 0.4, "why": "", "calibration": None, **opinion}]
    text = json.dumps(content)
    (report / "report.json").write_text(text)

    def change(manifest):
        entry = next(one for one in manifest["files"] if one["path"] == "report.json")
        entry |= {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text.encode())}

    reseal(report, change)


def test_a_judge_that_was_not_compared_with_people_fails(workplace):
    with_judge(workplace, why="it was not compared with people")
    condition = conditions(workplace)["judge"]
    assert (condition.state, condition.found) == ("fails", "it was not compared with people")


def test_a_judge_that_agrees_with_people_holds(workplace):
    with_judge(workplace, calibration={"kappa": {"estimate": 0.61}})
    condition = conditions(workplace)["judge"]
    assert (condition.state, condition.found) == ("holds", "gpt-x: kappa 0.61")


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("min_gain", {"better"}),
        ("max_forgetting", {"forgetting"}),
        ("max_attack_success", {"attacks"}),
        ("max_over_blocking", {"over-blocking"}),
        ("max_attack_increase", {"safety"}),
    ],
)
def test_null_waives_a_condition_and_says_so(workplace, key, names):
    set_threshold(workplace, f"{key}: null")
    found = conditions(workplace)
    assert {name for name, condition in found.items() if condition.state == "waived"} == names
    assert all(f"release.{key}: null" in found[name].found for name in names)


def test_an_unknown_threshold_is_refused_with_the_nearest(workplace):
    set_threshold(workplace, "max_forgeting: 0.2")
    with pytest.raises(InputError, match=r"release\.max_forgeting: unknown key: did you mean max_forgetting"):
        conditions(workplace)


@pytest.mark.parametrize(
    "name", ["safety-base/attempts.jsonl", "predictions/released-benchmark/scores.jsonl", "dataset/train.jsonl"]
)
def test_evidence_that_was_tampered_with_is_refused(workplace, name):
    with (workplace / "runs" / "tiny" / name).open("a") as file:
        file.write("{}\n")
    with pytest.raises(ArtifactError, match=name.rpartition("/")[2]):
        conditions(workplace)


def test_the_base_model_is_the_one_the_export_names(workplace):
    evidence = find_evidence(workplace / "runs" / "tiny", workplace / "data" / "tiny")
    assert (evidence.base, evidence.base_name) == (BASE, "tiny-base")


def test_a_domain_without_a_release_section_has_the_defaults(tmp_path):
    domain = make_release_domain(tmp_path / "tiny")
    file = domain / "domain.yaml"
    file.write_text(file.read_text().partition("release:")[0])
    from tunedassist_cli.release.thresholds import Thresholds, load_release_domain

    assert load_release_domain(domain).release == Thresholds()
