import json
import shutil

import pytest
from cli_fixtures import SYSTEM, make_base_model, make_domain

from ta_schemas import Artifact, InputError, read_jsonl
from ta_schemas.rows import PredictionRow
from tunedassist_cli import pipeline
from tunedassist_cli.pipeline import GENERAL_PROMPT, find_domain, run

PREDICTIONS = ["base-benchmark", "base-general", "tuned-benchmark", "tuned-general"]


@pytest.fixture
def again(finished, tmp_path):
    """A copy of the finished run, to change: (domain, out)."""
    domain, out = tmp_path / "tiny-domain", tmp_path / "out"
    shutil.copytree(finished[0], domain)
    shutil.copytree(finished[1], out)
    return domain, out


def stamps(out):
    return {file.relative_to(out): file.stat().st_mtime_ns for file in out.rglob("manifest.json")}


def test_a_run_seals_every_step_with_the_step_before_as_parent(finished):
    _, out = finished
    dataset = Artifact.open(out / "dataset", kind="dataset")
    adapter = Artifact.open(out / "adapter", kind="adapter")
    assert dataset.digest in {parent.digest for parent in adapter.manifest.parents}
    predictions = {n: Artifact.open(out / "predictions" / n, kind="predictions") for n in PREDICTIONS}
    assert predictions["tuned-benchmark"].manifest.parents[0].digest == adapter.digest
    assert predictions["base-benchmark"].manifest.parents[0].kind == "model"
    report = Artifact.open(out / "eval-report", kind="eval-report")
    assert [p.digest for p in report.manifest.parents] == [
        predictions[n].digest for n in ("base-benchmark", "tuned-benchmark", "base-general", "tuned-general")
    ]


def test_the_domain_prompt_goes_to_the_benchmark_and_a_neutral_one_to_the_general_questions(finished):
    _, out = finished
    prompts = {}
    for name in PREDICTIONS:
        asked = Artifact.open(out / "predictions" / name).manifest.config["asked"]
        prompts[name] = asked["system_prompt"]
        assert asked["max_tokens"] == 6
    assert prompts == {
        "base-benchmark": SYSTEM,
        "base-general": GENERAL_PROMPT,
        "tuned-benchmark": SYSTEM,
        "tuned-general": GENERAL_PROMPT,
    }


def test_base_and_tuned_answers_come_from_different_models(finished):
    _, out = finished
    base, tuned = (
        [row.output for row in read_jsonl(out / "predictions" / name / "predictions.jsonl", PredictionRow)]
        for name in ("base-benchmark", "tuned-benchmark")
    )
    assert len(base) == len(tuned) == 6
    assert base != tuned


def test_a_second_run_skips_every_step_and_loads_no_model(again, recipe, monkeypatch, capfd):
    domain, out = again
    before = stamps(out)
    monkeypatch.setattr(pipeline, "load_engine", lambda *_, **__: pytest.fail("a model was loaded"))
    run(domain, out, recipe=str(recipe))
    assert stamps(out) == before
    assert capfd.readouterr().err.count("(sealed already)") == 7


def test_a_lost_step_is_made_again_to_the_same_content_and_the_others_are_skipped(again, recipe):
    domain, out = again
    lost = out / "predictions" / "tuned-general"
    digest, before = Artifact.open(lost).digest, stamps(out)
    shutil.rmtree(lost)
    run(domain, out, recipe=str(recipe))
    assert Artifact.open(lost).digest == digest
    changed = {str(name) for name, stamp in stamps(out).items() if before[name] != stamp}
    assert changed == {"predictions/tuned-general/manifest.json"}


def test_what_can_be_detected_is_said_before_the_training(again, recipe, capfd):
    domain, out = again
    run(domain, out, recipe=str(recipe))
    told = capfd.readouterr().err
    assert 0 < told.index("Detectable difference") < told.index("training")


def test_an_engine_with_an_adapter_is_no_base_model(finished):
    _, out = finished
    with pytest.raises(RuntimeError, match="adapter active: True, expected False"):
        pipeline.load_engine(out / "adapter", adapted=False)


def test_a_base_model_is_no_tuned_one(base):
    with pytest.raises(RuntimeError, match="adapter active: False, expected True"):
        pipeline.load_engine(base, adapted=True)


def test_the_command_prints_scores_sentence_places_and_what_is_next(again, recipe, tunedassist):
    domain, out = again
    code, printed, told = tunedassist("run", domain, "--out", out, "--recipe", recipe)
    assert code == 0, told
    for expected in ("benchmark", "general", "tuned", str(out / "eval-report" / "report.html")):
        assert expected in printed
    assert f"tunedassist chat {out / 'adapter'}" in printed
    assert printed.count("  tunedassist ") == 3


def test_json_is_all_that_stands_on_stdout(again, recipe, tunedassist):
    domain, out = again
    code, printed, told = tunedassist("run", domain, "--out", out, "--recipe", recipe, "--json")
    assert code == 0, told
    result = json.loads(printed)
    assert result["adapter"] == {
        "path": str(out / "adapter"),
        "digest": Artifact.open(out / "adapter").digest,
    }
    assert [items["name"] for items in result["item_sets"]] == ["benchmark", "general"]
    assert result["headlines"]


def test_limit_asks_items_evenly_over_the_set(again, recipe, tunedassist, tmp_path):
    domain, _ = again
    out = tmp_path / "short"
    code, printed, told = tunedassist(
        "run", domain, "--out", out, "--recipe", recipe, "--limit", 2, "--max-steps", 1, "--json"
    )
    assert code == 0, told
    result = json.loads(printed)
    assert [items["comparisons"][0]["items"] for items in result["item_sets"]] == [2, 2]
    rows = read_jsonl(out / "predictions" / "base-benchmark" / "predictions.jsonl", PredictionRow)
    assert [row.id for row in rows] == ["b0", "b3"]


def test_options_of_the_training_reach_it(again, recipe, tunedassist, tmp_path):
    domain, _ = again
    other = make_base_model(tmp_path / "other-model")
    code, _, told = tunedassist(
        *("run", domain, "--out", tmp_path / "out2", "--recipe", recipe, "--limit", 1),
        *("--max-steps", 2, "--seed", 7, "--base-model", other, "--set", "lora_alpha=3"),
    )
    assert code == 0, told
    config = Artifact.open(tmp_path / "out2" / "adapter").manifest.config
    assert (config["sft"]["max_steps"], config["sft"]["seed"]) == (2, 7)
    assert config["base_model"] == "other-model"
    assert config["sft"]["lora_alpha"] == 3
    assert config["sft"]["lora_rank"] == 2, "the recipe was ignored"


def test_another_configuration_in_the_same_place_is_refused_unless_forced(again, recipe, tunedassist):
    domain, out = again
    before = Artifact.open(out / "adapter").digest
    other = ("run", domain, "--out", out, "--recipe", recipe, "--seed", 7)
    code, _, told = tunedassist(*other)
    assert code == 4
    assert told.splitlines()[-1].startswith("error: ")
    assert "--force" in told.splitlines()[-1]
    code, _, told = tunedassist(*other, "--force")
    assert code == 0, told
    assert Artifact.open(out / "adapter").digest != before


def test_a_tampered_step_stops_the_run_in_one_line(again, recipe, tunedassist):
    domain, out = again
    with (out / "dataset" / "train.jsonl").open("a") as file:
        file.write("{}\n")
    code, _, told = tunedassist("run", domain, "--out", out, "--recipe", recipe)
    assert code == 4
    assert "train.jsonl" in told.splitlines()[-1]


def test_a_stopped_training_goes_on_with_the_same_command(again, recipe, tunedassist, monkeypatch):
    from ta_schemas.errors import Stopped

    domain, out = again
    digest = Artifact.open(out / "adapter").digest
    shutil.rmtree(out / "adapter")
    import ta_train.sft

    real = ta_train.sft.sft

    def stopped(*_, **options):
        assert options["resume"]
        raise Stopped("stopped at step 2")

    monkeypatch.setattr(ta_train.sft, "sft", stopped)
    code, _, told = tunedassist("run", domain, "--out", out, "--recipe", recipe)
    assert code == 130
    assert "run the same command again" in told.splitlines()[-1]
    monkeypatch.setattr(ta_train.sft, "sft", real)
    code, _, told = tunedassist("run", domain, "--out", out, "--recipe", recipe)
    assert code == 0, told
    assert Artifact.open(out / "adapter").digest == digest


def test_a_domain_is_found_by_path_or_by_name_below_data(tmp_path, monkeypatch):
    make_domain(tmp_path / "data" / "my-domain")
    monkeypatch.chdir(tmp_path)
    assert find_domain("my-domain").resolve() == tmp_path / "data" / "my-domain"
    assert find_domain(str(tmp_path / "data" / "my-domain")) == tmp_path / "data" / "my-domain"
    with pytest.raises(InputError, match="did you mean my-domain"):
        find_domain("my-domian")
    with pytest.raises(InputError, match="known below ./data: my-domain"):
        find_domain("unlike")


def test_the_default_place_is_named_after_the_domain(tmp_path, monkeypatch, tunedassist):
    make_domain(tmp_path / "data" / "my-domain")
    monkeypatch.chdir(tmp_path)
    seen = []

    def stop(domain, out, **_):
        seen.append((domain.name, str(out)))
        raise InputError("enough")

    monkeypatch.setattr(pipeline, "run", stop)
    assert tunedassist("run", "my-domain")[0] == 3
    assert seen == [("my-domain", "runs/my-domain")]


def test_a_domain_without_a_benchmark_is_refused_before_anything_is_done(tmp_path, recipe):
    domain = make_domain(tmp_path / "domain")
    file = domain / "domain.yaml"
    file.write_text(file.read_text().replace("benchmark: benchmark.jsonl\n", ""))
    with pytest.raises(InputError, match="benchmark: missing"):
        run(domain, tmp_path / "out", recipe=str(recipe))
    assert not (tmp_path / "out").exists()


def test_a_domain_without_general_questions_is_measured_on_its_benchmark_alone(again, recipe, tmp_path):
    domain, _ = again
    file = domain / "domain.yaml"
    file.write_text(file.read_text().replace("general: general.jsonl\n", ""))
    result = run(domain, tmp_path / "out2", recipe=str(recipe), max_steps=1)
    assert not (tmp_path / "out2" / "predictions" / "base-general").exists()
    assert len(result.report.manifest.metrics["headlines"]) == 1
