"""The command line: each option counts, the summary shows what was done."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def result(ta_data: Run, *args: object) -> Any:
    ran = ta_data("prepare", *args, "--json")
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def test_the_summary_ends_with_the_place_of_the_card(domain: Path, tmp_path: Path, ta_data: Run) -> None:
    ran = ta_data("prepare", domain, "--out", tmp_path / "out")

    assert ran.code == 0
    assert ran.out.rstrip().endswith(f"card:    {tmp_path / 'out' / 'README.md'}")
    for word in [
        "Sources",
        "knowledge-base",
        "Funnel",
        "read",
        "kept",
        "Splits",
        "train",
        "Length in words",
        "p95",
    ]:
        assert word in ran.out


def test_the_summary_names_files_of_other_types_and_empty_splits(
    tmp_path: Path, make: Any, ta_data: Run
) -> None:
    (tmp_path / "in").mkdir()
    make.lines(tmp_path / "in" / "a.jsonl", [make.chat("A?", "B.")])
    (tmp_path / "in" / "b.csv").write_text("x")

    ran = ta_data("prepare", tmp_path / "in", "--out", tmp_path / "out")

    assert "not read (another file type): b.csv" in ran.out
    assert "test is empty: its share is 0, or there are too few tasks" in ran.out


def test_json_is_all_that_stands_on_stdout(domain: Path, tmp_path: Path, ta_data: Run) -> None:
    printed = result(ta_data, domain, "--out", tmp_path / "out")

    assert printed["path"] == str(tmp_path / "out")
    assert printed["digest"].startswith("sha256:")
    assert printed["funnel"] == {"input": 24, "drops": {}, "output": 24}
    assert printed["splits"]["train"]["rows"] == 20


def test_without_out_the_dataset_goes_below_runs(
    domain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ta_data: Run
) -> None:
    monkeypatch.chdir(tmp_path)

    assert result(ta_data, "shop")["path"] == "runs/shop/dataset"
    assert (tmp_path / "runs" / "shop" / "dataset" / "manifest.json").exists()


def test_seed_deals_the_tasks_otherwise(domain: Path, tmp_path: Path, ta_data: Run) -> None:
    zero = result(ta_data, domain, "--out", tmp_path / "0")
    one = result(ta_data, domain, "--out", tmp_path / "1", "--seed", 1)

    assert zero["digest"] != one["digest"]


def test_split_by_group_keeps_the_one_group_in_one_split(domain: Path, tmp_path: Path, ta_data: Run) -> None:
    printed = result(ta_data, domain, "--out", tmp_path / "out", "--split-by", "group")

    assert [split["rows"] for split in printed["splits"].values()] == [24, 0, 0]


def test_shares_are_those_asked_for(chats: Path, tmp_path: Path, ta_data: Run) -> None:
    printed = result(ta_data, chats, "--out", tmp_path / "out", "--shares", "50/30/20")

    assert [split["rows"] for split in printed["splits"].values()] == [20, 12, 8]


def test_the_domains_split_is_used_where_no_option_says_otherwise(
    domain: Path, tmp_path: Path, ta_data: Run
) -> None:
    with (domain / "domain.yaml").open("a") as file:
        file.write("split: {by: task, train: 0.5, validation: 0.25, test: 0.25}\n")

    printed = result(ta_data, domain, "--out", tmp_path / "out")

    assert [split["rows"] for split in printed["splits"].values()] == [12, 6, 6]


def test_freeze_moves_no_old_row_when_data_is_added(
    domain: Path, tmp_path: Path, ta_data: Run, make: Any
) -> None:
    def places(out: Path) -> dict[str, str]:
        names = ("train", "validation", "test")
        lines = [(name, line) for name in names for line in (out / f"{name}.jsonl").read_text().splitlines()]
        return {json.loads(line)["id"]: name for name, line in lines}

    result(ta_data, domain, "--out", tmp_path / "a", "--seed", 3)
    text = (domain / "raw" / "files.md").read_text()
    more = text.replace("cp-", "mv-").replace("Copy ", "Move ").replace("in case", "this time in")
    (domain / "raw" / "aaa.md").write_text(more.replace(", number", ", this being"))

    result(ta_data, domain, "--out", tmp_path / "b", "--freeze", tmp_path / "a")

    old, new = places(tmp_path / "a"), places(tmp_path / "b")
    assert {key: new[key] for key in old} == old
    assert len(new) > len(old)


def test_format_decides_between_two_readings(tmp_path: Path, make: Any, ta_data: Run) -> None:
    both = {**make.chat("A?", "B."), "prompt": "C?", "completion": "D."}
    file = make.lines(tmp_path / "x.jsonl", [both])

    plain = result(ta_data, file, "--out", tmp_path / "0")
    chosen = result(ta_data, file, "--out", tmp_path / "1", "--format", "prompt-completion")

    assert plain["sources"][0]["format"] == "messages"
    assert chosen["sources"][0]["format"] == "prompt-completion"


def test_on_error_skip_counts_what_raise_stops_at(chats: Path, tmp_path: Path, ta_data: Run) -> None:
    chats.write_text(chats.read_text() + "{broken\n")

    stopped = ta_data("prepare", chats, "--out", tmp_path / "out")
    printed = result(ta_data, chats, "--out", tmp_path / "out", "--on-error", "skip")

    assert (stopped.code, "--on-error skip" in stopped.err) == (3, True)
    assert printed["funnel"] == {"input": 41, "drops": {"not valid JSON": 1}, "output": 40}


def test_tokenizer_counts_tokens_and_no_tokenizer_counts_words(
    tmp_path: Path, make: Any, tokenizer: Path, ta_data: Run
) -> None:
    file = make.lines(tmp_path / "x.jsonl", [make.chat("Why so?", "Because.")])

    words = result(ta_data, file, "--out", tmp_path / "0")["lengths"]
    tokens = result(ta_data, file, "--out", tmp_path / "1", "--tokenizer", tokenizer)["lengths"]
    by_file = result(ta_data, file, "--out", tmp_path / "2", "--tokenizer", tokenizer / "tokenizer.json")

    assert (words["unit"], words["prompt"]["max"], words["answer"]["max"], words["total"]["max"]) == (
        "words",
        2,
        1,
        3,
    )
    assert (tokens["unit"], tokens["prompt"]["max"], tokens["answer"]["max"]) == ("tokens", 7, 8)
    assert by_file["lengths"] == tokens


def test_force_replaces_another_runs_artifact(domain: Path, tmp_path: Path, ta_data: Run) -> None:
    result(ta_data, domain, "--out", tmp_path / "out")

    refused = ta_data("prepare", domain, "--out", tmp_path / "out", "--seed", 1)
    forced = ta_data("prepare", domain, "--out", tmp_path / "out", "--seed", 1, "--force")

    assert (refused.code, forced.code) == (4, 0)


def test_wrong_shares_are_named(chats: Path, tmp_path: Path, ta_data: Run) -> None:
    ran = ta_data("prepare", chats, "--out", tmp_path / "out", "--shares", "80/20")

    assert ran.code == 3
    assert ran.err.startswith("error: command line: shares: expected three whole numbers that sum to 100")


def test_an_unknown_option_is_a_wrong_command_line(chats: Path, ta_data: Run) -> None:
    assert ta_data("prepare", chats, "--sed", 1).code == 2


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys; sys.argv = ['ta-data', '--help']\n"
        "import ta_data.cli\n"
        "try: ta_data.cli.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('tokenizers', 'torch', 'numpy') if name in sys.modules])\n"
    )

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "prepare" in ran.stdout
    assert ran.stdout.rstrip().endswith("[]")


def test_the_list_of_options_is_the_one_the_code_has() -> None:
    from ta_data.reference import reference

    written = Path(__file__).parents[1] / "OPTIONS.md"
    if not written.exists():
        pytest.skip("installed without its documentation")
    assert written.read_text() == reference(), "python -m ta_data.reference > packages/ta-data/OPTIONS.md"


def test_every_option_and_key_says_what_it_does() -> None:
    from ta_data.reference import reference

    assert [line for line in reference().splitlines() if line.endswith("|  |")] == []
