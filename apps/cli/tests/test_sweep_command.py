import json

from cli_fixtures import make_domain


def test_every_setting_is_trained_and_scored_on_the_benchmark(tunedassist, recipe, tmp_path):
    domain = make_domain(tmp_path / "tiny-domain")
    out = tmp_path / "sweep"
    options = ["--over", "lora_rank=1,2", "--recipe", recipe, "--out", out, "--limit", 4, "--json"]
    code, shown, err = tunedassist("sweep", domain, *options)
    assert code == 0, err
    trials = json.loads(shown)["trials"]
    assert [trial["settings"] for trial in trials] == [{"lora_rank": 1}, {"lora_rank": 2}]
    for trial in trials:
        scores = (out / "predictions" / trial["adapter"] / "scores.jsonl").read_text().splitlines()
        assert len(scores) == 4
        assert trial["score"] == 100 * sum(json.loads(line)["score"] for line in scores) / 4
    assert (out / "sweep.png").exists()


def test_a_finished_sweep_is_not_trained_again(tunedassist, recipe, tmp_path):
    domain = make_domain(tmp_path / "tiny-domain")
    arguments = ["sweep", domain, "--over", "lora_rank=2", "--recipe", recipe, "--out", tmp_path / "sweep"]
    assert tunedassist(*arguments)[0] == 0
    adapter = tmp_path / "sweep" / "lora_rank=2" / "manifest.json"
    before = adapter.stat().st_mtime_ns
    code, shown, _ = tunedassist(*arguments)
    assert code == 0
    assert adapter.stat().st_mtime_ns == before
    assert f"plot:  {tmp_path / 'sweep' / 'sweep.png'}\n" in shown


def test_without_over_it_is_a_rank_study(tunedassist, recipe, tmp_path):
    domain = make_domain(tmp_path / "tiny-domain")
    out = tmp_path / "sweep"
    options = ["--recipe", recipe, "--out", out, "--limit", 1, "--json", "--set", "max_steps=1"]
    code, shown, err = tunedassist("sweep", domain, *options)
    assert code == 0, err
    assert [t["settings"]["lora_rank"] for t in json.loads(shown)["trials"]] == [4, 8, 16, 32]
