import json
import shutil

import pytest
from cli_fixtures import make_domain
from full_fixtures import make_dpo_recipe, make_full_domain, stamps

from ta_schemas import Artifact, InputError, SetupError
from tunedassist_cli import pipeline
from tunedassist_cli.full import systems
from tunedassist_cli.full.run_all import run_all
from tunedassist_cli.full.sampling import Sampling
from tunedassist_cli.full.systems import Exam

pytest.importorskip("llama_cpp", reason="needs ta-serve[llama-cpp]")
pytest.importorskip("bm25s", reason="needs ta-serve[retrieve]")

SEALED = {
    "policy": "gguf",
    "samples": "predictions",
    "preferences": "preferences",
    "dpo": "adapter",
    "model": "model",
    "gguf": "gguf",
    "eval-report": "eval-report",
    "dpo-report": "eval-report",
    "worth-report": "eval-report",
    "safety-base": "safety-report",
    "safety-report": "safety-report",
}


CUT_SHORT = {"limit": 5, "max_steps": 3, "seed": 7}


@pytest.fixture(scope="session")
def dpo_recipe(tmp_path_factory):
    return make_dpo_recipe(tmp_path_factory.mktemp("recipes") / "dpo.yaml")


@pytest.fixture(scope="session")
def whole(recipe, dpo_recipe, tmp_path_factory):
    """A domain and what the whole way left: (domain, out, result). Do not write into them."""
    domain = make_full_domain(tmp_path_factory.mktemp("full-data") / "tiny-domain")
    out = tmp_path_factory.mktemp("full-runs") / "tiny"
    return domain, out, run_all(domain, out, recipe=str(recipe), dpo_recipe=str(dpo_recipe), **CUT_SHORT)


@pytest.fixture
def again(whole, tmp_path):
    """A copy of it, to change: (domain, out)."""
    domain, out = tmp_path / "tiny-domain", tmp_path / "out"
    shutil.copytree(whole[0], domain)
    shutil.copytree(whole[1], out)
    return domain, out


def test_every_step_is_sealed(whole):
    _, out, _ = whole
    for name, kind in SEALED.items():
        Artifact.open(out / "all" / name, kind=kind)


def test_the_preferred_adapter_descends_from_the_tuned_one_and_the_pairs(whole):
    _, out, _ = whole
    parents = {parent.digest for parent in Artifact.open(out / "all" / "dpo").manifest.parents}
    assert Artifact.open(out / "all" / "preferences").digest in parents
    assert Artifact.open(out / "adapter").digest in parents


def test_the_shipped_file_is_made_of_the_adapter_that_answers_more_and_passes_the_parity_gate(whole):
    _, out, result = whole
    adapters = {"tuned": out / "adapter", "tuned + DPO": out / "all" / "dpo"}
    shipped = Artifact.open(adapters[result.shipped.name])
    for name in ("gguf", "model"):
        assert shipped.digest in {p.digest for p in Artifact.open(out / "all" / name).manifest.parents}
    assert result.gguf.manifest.metrics["parity"]["ok"] is True
    right = {row.name: row.right for row in result.worth.rows}
    assert right[result.shipped.name] == max(right["tuned"], right["tuned + DPO"])


def test_one_report_compares_every_system_with_the_base(whole):
    _, _, result = whole
    names = [row.name for row in result.worth.rows]
    shipped = result.shipped.name
    assert names == [
        *("base", "base + prompt", "base + retrieval", "tuned", "tuned + DPO"),
        *(f"{shipped}, Q8_0", f"{shipped} + retrieval"),
    ]
    report = json.loads(result.report.file("report.json").read_text())
    benchmark, general = report["item_sets"]
    assert [system["name"] for system in benchmark["systems"]] == names
    assert {c["baseline"] for c in benchmark["comparisons"]} == {"base"}
    assert [system["name"] for system in general["systems"]] == [
        "base",
        "tuned",
        "tuned + DPO",
        f"{shipped}, Q8_0",
    ]


def test_the_report_is_bound_to_the_base_models_digest(whole):
    _, out, result = whole
    base = Artifact.open(out / "predictions" / "base-benchmark").manifest.parents[0]
    assert result.report.manifest.config["base_digest"] == base.digest


def test_the_quantized_answers_are_those_of_the_exported_file(whole):
    _, out, result = whole
    place = next(place for place in (out / "all" / "predictions").iterdir() if "q8-0-benchmark" in place.name)
    predictions = Artifact.open(place)
    assert predictions.manifest.config["target"]["file"] == "model-Q8_0.gguf"
    assert predictions.manifest.parents[0].digest == result.gguf.digest


def test_the_shipped_file_and_the_base_are_attacked(whole):
    _, out, result = whole
    attacked = {
        name: Artifact.open(out / "all" / name).manifest.config["target"]
        for name in ("safety-report", "safety-base")
    }
    assert attacked["safety-report"]["model"] == result.gguf.digest
    assert attacked["safety-base"]["model"] == result.way.base.model["digest"]
    assert {target["max_tokens"] for target in attacked.values()} == {6}


def test_as_many_steps_are_taken_as_were_announced(whole):
    _, _, result = whole
    assert len(result.way.steps.seconds) == result.way.steps.total


def test_the_options_of_a_run_cut_short_hold_for_sampling_dpo_and_questions_too(whole):
    _, out, result = whole
    assert Artifact.open(out / "all" / "samples").manifest.metrics["items"] == 5 * Sampling().samples
    report = json.loads(result.report.file("report.json").read_text())
    assert {system["items"] for system in report["item_sets"][0]["systems"]} == {5}
    config = result.preferred.manifest.config["dpo"]
    assert (config["max_steps"], config["seed"]) == (3, 7)
    assert config["learning_rate"] == 0.01, "the recipe of DPO was ignored"


def command(domain, out, recipe, dpo_recipe):
    """The command line that made `whole`."""
    return (
        *("run", domain, "--all", "--out", out, "--recipe", recipe, "--dpo-recipe", dpo_recipe),
        *("--limit", 5, "--max-steps", 3, "--seed", 7),
    )


def test_a_second_run_skips_what_is_sealed_and_loads_no_model(
    again, recipe, dpo_recipe, tunedassist, monkeypatch
):
    domain, out = again
    before = stamps(out)
    for module in (pipeline, systems):
        monkeypatch.setattr(module, "load_engine", lambda *_, **__: pytest.fail("a model was loaded"))
    code, shown, _ = tunedassist(*command(domain, out, recipe, dpo_recipe), "--json")
    assert code == 6
    assert stamps(out) == before
    found = json.loads(shown)
    assert found["seconds"].keys() - set(found["skipped"]) == {"base model", "time of an answer", "release"}
    assert len(found["systems"]) == 7
    assert found["worth"]["sentence"] == json.loads((out / "all" / "worth.json").read_text())["sentence"]
    assert found["dpo_against_tuned"].keys() == {"benchmark", "general"}
    assert found["refused"].startswith("not released")


def test_a_run_that_was_killed_goes_on_with_the_step_it_was_at(
    again, recipe, dpo_recipe, tunedassist, monkeypatch
):
    domain, out = again
    digest = Artifact.open(out / "all" / "dpo").digest
    shutil.rmtree(out / "all" / "dpo")
    before = stamps(out)
    real = Exam.take

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Exam, "take", killed)
    assert tunedassist(*command(domain, out, recipe, dpo_recipe))[0] == 130
    sealed_then = stamps(out)
    assert sealed_then.keys() - before.keys() == {(out / "all" / "dpo" / "manifest.json").relative_to(out)}
    assert Artifact.open(out / "all" / "dpo").digest == digest
    monkeypatch.setattr(Exam, "take", real)
    assert tunedassist(*command(domain, out, recipe, dpo_recipe))[0] == 6
    assert stamps(out) == sealed_then


def test_a_release_that_the_gate_refuses_is_told_after_the_summary(again, recipe, dpo_recipe, tunedassist):
    domain, out = again
    code, shown, told = tunedassist(*command(domain, out, recipe, dpo_recipe))
    assert code == 6
    assert "not released" in told.splitlines()[-1]
    assert "none: the gate refuses it" in shown
    assert str(out / "all" / "worth.md") in shown
    assert f"tunedassist quant-study {domain} --gguf {out / 'all' / 'gguf'}" in shown
    for name in ("base + prompt", "base + retrieval", "tuned + DPO", "Preferences: ", "Attacks that succeed: "):
        assert name in shown


def test_full_tuning_is_refused_before_anything_is_done(again, recipe, tmp_path):
    domain, _ = again
    with pytest.raises(InputError, match="tuning: full: DPO goes on from an adapter"):
        run_all(domain, tmp_path / "new", recipe=str(recipe), overrides=["tuning=full"])
    assert not (tmp_path / "new").exists()


def test_a_domain_without_scenarios_is_refused_before_anything_is_done(tmp_path, recipe):
    domain = make_domain(tmp_path / "domain")
    with pytest.raises(InputError, match=r"red-team\.jsonl: no such file"):
        run_all(domain, tmp_path / "new", recipe=str(recipe))
    assert not (tmp_path / "new").exists()


def test_a_library_that_is_missing_is_named_before_anything_is_done(again, recipe, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(SetupError, match=r"bm25s is not installed.*tunedassist-cli\[all\]"):
        run_all(again[0], tmp_path / "new", recipe=str(recipe))
    assert not (tmp_path / "new").exists()
