import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tunedassist_cli.new import FILES, Answers, make_domain, next_commands
from tunedassist_cli.pipeline import find_domain, run


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty current directory without a terminal."""
    monkeypatch.chdir(tmp_path)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield tmp_path


def domain_of(folder):
    return yaml.safe_load((folder / "domain.yaml").read_text(encoding="utf-8"))


def test_a_name_and_yes_are_enough_and_the_defaults_are_filled_in(tunedassist, place):
    code, out, _ = tunedassist("new", "town-library", "--yes")
    assert code == 0
    folder = place / "data" / "town-library"
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == set(FILES)
    settings = domain_of(folder)
    assert (settings["name"], settings["title"], settings["language"]) == ("town-library", "Town library", "en")
    assert settings["refusal"] == "I can only help with Town library."
    assert settings["sources"] == [{"path": "raw", "format": "knowledge-base"}]
    assert all(file in out for file in FILES), "the files were not explained"
    assert all(command in out for command in next_commands(Path("data/town-library")))


@pytest.mark.parametrize(
    ("option", "value", "key"),
    [
        ("--title", 'Loans: "how" & why', "title"),
        ("--language", "de", "language"),
        ("--refusal", "That's not ours, sorry.", "refusal"),
    ],
)
def test_an_option_is_the_answer_to_its_question(tunedassist, place, option, value, key):
    assert tunedassist("new", "x", option, value, "--yes")[0] == 0
    assert domain_of(place / "data" / "x")[key] == value


def test_the_purpose_stands_in_scope_and_refusal(tunedassist, place):
    tunedassist("new", "x", "--purpose", "loans of the library", "--yes")
    settings = domain_of(place / "data" / "x")
    assert settings["scope"] == "Loans of the library."
    assert settings["refusal"] == "I can only help with loans of the library."


def test_the_title_stands_in_the_system_prompt_and_the_readme(tunedassist, place):
    tunedassist("new", "x", "--title", "Bike shop", "--yes")
    assert "Bike shop" in domain_of(place / "data" / "x")["system_prompt"]
    assert (place / "data" / "x" / "README.md").read_text().startswith("# Bike shop\n")


def test_documents_are_named_as_a_source_relative_to_the_domain(tunedassist, place):
    (place / "papers").mkdir()
    tunedassist("new", "x", "--documents", "papers", "--yes")
    source = domain_of(place / "data" / "x")["sources"][1]
    assert source == {"path": "../../papers", "format": "documents"}
    assert (place / "data" / "x" / source["path"]).resolve() == place / "papers"


def test_out_says_where_the_folder_goes_and_the_next_command_names_it(tunedassist, place):
    _, out, _ = tunedassist("new", "x", "--out", "elsewhere/y", "--yes", "--json")
    result = json.loads(out)
    assert result["path"] == "elsewhere/y"
    assert domain_of(place / "elsewhere" / "y")["name"] == "x"
    assert result["next"][-1] == "tunedassist run elsewhere/y"
    assert set(result["files"]) == set(FILES)


def test_nothing_is_overwritten(tunedassist, place):
    (place / "data" / "x").mkdir(parents=True)
    (place / "data" / "x" / "mine.txt").write_text("mine")
    code, _, err = tunedassist("new", "x", "--yes")
    assert code == 3
    assert "data/x: exists already" in err
    assert [file.name for file in (place / "data").rglob("*")] == ["x", "mine.txt"]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ([], "NAME"),
        (["x"], "--title"),
        (["x", "--title", "X"], "--language"),
        (["x", "--title", "X", "--language", "en"], "--purpose"),
        (["x", "--title", "X", "--language", "en", "--purpose", "y"], "--refusal"),
        (["x", "--title", "X", "--language", "en", "--purpose", "y", "--refusal", "z"], "--documents"),
        (["--yes"], "NAME"),
    ],
)
def test_without_a_terminal_the_missing_option_is_named(tunedassist, place, given, missing):
    code, _, err = tunedassist("new", *given)
    assert code == 2
    assert f"{missing}: nothing given" in err
    assert not (place / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["Bad Name"], "NAME"),
        (["-x"], "-x"),
        (["x", "--language", "English"], "--language"),
        (["x", "--documents", "nowhere"], "--documents"),
        (["x", "--title", " "], "--title"),
    ],
)
def test_a_wrong_answer_is_refused_by_the_name_of_its_option(tunedassist, place, arguments, named):
    code, _, err = tunedassist("new", *arguments, "--yes")
    assert code == 2
    assert named in err
    assert not (place / "data").exists()


def at_a_terminal(folder, *arguments, typed):
    """Give exit code, stdout and stderr of the command with a pseudo-terminal as its standard input."""
    ours, theirs = pty.openpty()
    program = "from tunedassist_cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "new", *arguments],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        text=True,
    )
    os.write(ours, typed)
    out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    return process.returncode, out, err


def test_at_a_terminal_it_asks_and_asks_again_after_a_wrong_answer(tmp_path):
    typed = b"Bad Name\nbike-shop\n\nEnglish\nde\nrepairs\n\n\n"
    code, out, err = at_a_terminal(tmp_path, "--json", typed=typed)
    assert code == 0
    assert json.loads(out)["path"] == "data/bike-shop"
    assert "two small letters" in err
    settings = domain_of(tmp_path / "data" / "bike-shop")
    assert (settings["title"], settings["language"]) == ("Bike shop", "de")
    assert settings["refusal"] == "I can only help with repairs."


def test_the_end_of_input_at_a_question_leaves_nothing_and_no_traceback(tmp_path):
    code, _, err = at_a_terminal(tmp_path, typed=b"x\n\x04")
    assert code == 130
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def skeleton(tmp_path):
    answers = Answers("x", "Bike shop", "en", "repairs", "I can't (really) help.", None)
    make_domain(answers, tmp_path / "x")
    return tmp_path / "x"


def test_the_skeleton_is_prepared_without_a_drop_and_the_doctor_finds_it_healthy(
    tunedassist, skeleton, tmp_path
):
    code, out, err = tunedassist("data", "prepare", skeleton, "--out", tmp_path / "dataset", "--json")
    assert code == 0, err
    funnel = json.loads(out)["funnel"]
    assert funnel["input"] == funnel["output"] > 0
    held_out = skeleton / "benchmark.jsonl"
    assert tunedassist("data", "doctor", tmp_path / "dataset", "--against", held_out, "--strict")[0] == 0


def test_the_skeleton_shows_every_kind_of_task(tunedassist, skeleton, tmp_path):
    _, out, _ = tunedassist("data", "prepare", skeleton, "--out", tmp_path / "dataset", "--json")
    assert set(json.loads(out)["all"]["kinds"]) == {"answer", "warn", "clarify", "out-of-scope"}


def test_every_stub_of_the_skeleton_is_marked_as_an_example(skeleton):
    for file in ("benchmark.jsonl", "general.jsonl", "red-team.jsonl"):
        rows = [json.loads(line) for line in (skeleton / file).read_text().splitlines()]
        assert rows
        assert all(row["id"].startswith("example-") for row in rows)
    assert (skeleton / "raw" / "example.md").read_text().startswith("# Examples, to be replaced")


def test_every_key_of_the_skeletons_domain_has_a_comment(skeleton):
    lines = (skeleton / "domain.yaml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line[:1].isalpha():
            above = lines[number - 1]
            assert above.startswith("#"), line


def test_the_stages_read_the_other_files_of_the_skeleton(skeleton):
    from ta_eval.benchmark import read_benchmark
    from ta_safety.policy import load_domain
    from ta_safety.red_team.scenario import read_scenarios
    from tunedassist_cli.release.thresholds import load_release_domain

    assert len(read_benchmark(skeleton / "benchmark.jsonl").rows) == 6
    assert len(read_benchmark(skeleton / "general.jsonl").rows) == 4
    assert len(read_scenarios(skeleton / "red-team.jsonl")) == 2
    assert load_domain(skeleton).refusal == "I can't (really) help."
    assert load_release_domain(skeleton).release.min_gain == 0.0


def test_the_refusal_scores_in_the_skeletons_benchmark(skeleton):
    from ta_eval.benchmark import read_benchmark
    from ta_eval.scorers.text import score_regex

    item = read_benchmark(skeleton / "benchmark.jsonl").rows[-1]
    assert score_regex("I can't (really) help.", item.pattern).value == 1.0


@pytest.mark.slow
def test_the_skeleton_goes_the_whole_way_from_data_to_report(skeleton, recipe, tmp_path):
    result = run(skeleton, tmp_path / "run", recipe=str(recipe), max_steps=1)
    assert result.report.manifest.kind == "eval-report"


def test_a_new_domain_is_found_by_name_and_an_unknown_one_is_told_which_there_are(tunedassist, place):
    for name in ("bike-shop", "town-library"):
        tunedassist("new", name, "--yes")
    assert find_domain("bike-shop") == Path("data/bike-shop")
    code, _, err = tunedassist("run", "bike-shpo")
    assert code == 3
    assert "did you mean bike-shop? known below ./data: bike-shop, town-library" in err
