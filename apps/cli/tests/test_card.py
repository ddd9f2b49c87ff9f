import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from ta_schemas import Artifact
from tunedassist_cli.release.card import model_card
from tunedassist_cli.release.evidence import find_evidence
from tunedassist_cli.release.gate import judge

RUN, DOMAIN = Path("runs/tiny"), Path("data/tiny")


def card(run=RUN, domain=DOMAIN):
    evidence = find_evidence(run, domain)
    return model_card(evidence, judge(evidence))


def section(text, title):
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_front_matter_is_valid_for_the_hub(workplace):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    data = huggingface_hub.ModelCard(card()).data
    assert (data.license, data.language, data.library_name) == ("apache-2.0", ["en"], "gguf")
    assert data.pipeline_tag == "text-generation"
    results = {result.dataset_name: result.metric_value for result in data.eval_results}
    assert results == {"Tiny domain: benchmark": 1.0, "Tiny domain: general": 1.0}
    assert data.base_model is None, "tiny-base has no id on the hub"


def test_the_embedded_base_model_has_its_hub_id(workplace):
    file = RUN / "gguf" / "settings.json"
    manifest = RUN / "gguf" / "manifest.json"
    settings = json.loads(file.read_text())
    settings["base_model"]["name"] = "smollm2-135m-instruct"
    text = json.dumps(settings)
    reseal(manifest, "settings.json", text)
    file.write_text(text)
    head = yaml.safe_load(card().split("---\n")[1])
    assert head["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"


def reseal(manifest, name, text):
    import hashlib

    content = json.loads(manifest.read_text())
    entry = next(one for one in content["files"] if one["path"] == name)
    entry |= {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text.encode())}
    manifest.write_text(json.dumps(content))


def test_every_number_of_the_evaluation_is_that_of_the_report(workplace):
    report = json.loads((RUN / "eval-report" / "report.json").read_text())
    text = section(card(), "Evaluation")
    for items in report["item_sets"]:
        row = next(line for line in text.splitlines() if line.startswith(f"| {items['name']} |"))
        told = [float(number) for number in re.findall(r"-?\d+\.\d", row)]
        (comparison,) = items["comparisons"]
        scores = {system["name"]: system["accuracy"] for system in items["systems"]}
        expected = [
            100 * value
            for interval in (scores["base"], scores["released"], comparison["difference"])
            for value in (interval["estimate"], interval["low"], interval["high"])
        ]
        assert told == pytest.approx(expected, abs=0.051)


def test_the_numbers_follow_the_artifacts(workplace):
    assert "validation_loss 1.25" in section(card(), "Training")
    manifest = RUN / "adapter" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["metrics"]["validation_loss"] = 0.75
    manifest.write_text(json.dumps(content))
    assert "validation_loss 0.75" in section(card(), "Training")


def test_safety_tells_bare_and_guarded_of_both_models(workplace):
    text = section(card(), "Safety")
    assert "| this model | 12 |" in text and "| base model | 12 |" in text


def test_data_and_origin_are_named_by_digest_and_licence(workplace):
    text = card()
    dataset = Artifact.open(RUN / "dataset")
    assert f"dataset {dataset.digest[7:19]}" in section(text, "Data")
    assert "licence CC-BY-4.0" in section(text, "Data")
    for name in ("gguf", "adapter", "dataset", "eval-report", "safety-report"):
        assert Artifact.open(RUN / name).digest in section(text, "Origin")


def test_no_folder_of_the_machine_is_told(workplace):
    assert "/home/me" not in card()
    assert "processor a processor" in section(card(), "Environment")


@pytest.mark.parametrize(
    ("folder", "title", "told"),
    [
        ("eval-report", "Evaluation", "Missing: the released file has not answered"),
        ("safety-report", "Safety", "Missing: the model was not attacked"),
        ("safety-base", "Safety", "Missing: the base model was not attacked"),
        ("dataset", "Data", "Missing: no dataset"),
        ("adapter", "Training", "Missing: no adapter"),
    ],
)
def test_what_is_missing_is_said_to_be_missing(workplace, folder, title, told):
    shutil.rmtree(RUN / folder)
    assert told in section(card(), title)


def test_a_missing_licence_is_said_and_left_out_of_the_front_matter(workplace):
    manifest = RUN / "gguf" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["config"]["export"]["licence"] = ""
    manifest.write_text(json.dumps(content))
    text = card()
    assert "licence: missing" in section(text, "Capabilities")
    assert "license" not in yaml.safe_load(text.split("---\n")[1])


def test_a_category_below_the_whole_is_a_limitation(workplace):
    from release_fixtures import ITEMS, make_run

    run = make_run(DOMAIN, Path("runs/half"), right=ITEMS - 1)  # the last one, an odd number, is wrong
    text = section(card(run), "Limitations")
    assert "weak on b-odd: 95.0 %" in text
    assert "b-even" not in text
    assert "could go unseen" in text


def test_what_the_scan_did_not_look_at_is_a_limitation(workplace):
    assert "not looked at: LLM03" in section(card(), "Limitations")


def test_the_gate_stands_in_the_card_with_what_was_waived(workplace):
    with (DOMAIN / "domain.yaml").open("a") as file:
        file.write("  max_forgetting: null\n")
    text = section(card(), "Release gate")
    assert "better: +100.0 points" in text
    assert "forgetting: waived by release.max_forgetting: null" in text
