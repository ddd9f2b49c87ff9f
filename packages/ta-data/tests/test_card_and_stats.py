"""The dataset card and the length statistics."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from ta_data import DataConfig, prepare
from ta_data.card import table
from ta_data.stats import quantiles


def card_of(source: Path, out: Path, **settings: Any) -> tuple[dict[str, Any], str]:
    text = prepare(DataConfig(**settings), source, out).file("README.md").read_text()
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_front_matter_is_what_the_hub_reads(domain: Path, tmp_path: Path) -> None:
    front, _ = card_of(domain, tmp_path / "out")

    assert front["pretty_name"] == "Copy shop"
    assert front["language"] == ["en"]
    assert front["task_categories"] == ["text-generation"]
    assert front["size_categories"] == ["n<1K"]
    assert front["configs"][0]["data_files"][0] == {"split": "train", "path": "train.jsonl"}


def test_the_card_tells_counts_split_and_an_example(domain: Path, tmp_path: Path) -> None:
    _, body = card_of(domain, tmp_path / "out", seed=7)

    assert "24 conversations on 12 tasks in 1 groups" in body
    assert "| train | 20 | 10 | 1 |" in body
    assert "Shares 80 / 10 / 10 %, seed 7." in body
    assert "| read | 24 |\n| kept | 24 |" in body
    assert "> Be brief." in body
    assert "    system: Be brief." in body
    assert "touch the held-out benchmark" in body


def test_the_card_says_what_was_not_checked(chats: Path, tmp_path: Path) -> None:
    _, body = card_of(chats, tmp_path / "out")

    assert "contamination was not checked" in body
    assert "Words, not tokens" in body


def test_the_card_names_the_tokenizer_by_its_digest(chats: Path, tmp_path: Path, tokenizer: Path) -> None:
    _, body = card_of(chats, tmp_path / "out", tokenizer=tokenizer)

    assert "## Length in tokens" in body
    assert "Tokens of the tokenizer `sha256:" in body


def test_a_bar_does_not_break_a_table() -> None:
    assert table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |"


def test_quantiles_are_values_that_occur() -> None:
    assert quantiles(list(range(1, 101))) == {
        "p50": 50,
        "p95": 95,
        "max": 100,
        "histogram": {"1-1": 1, "2-3": 2, "4-7": 4, "8-15": 8, "16-31": 16, "32-63": 32, "64-127": 37},
    }
    assert quantiles([3])["p50"] == 3


@given(st.lists(st.integers(0, 5000), min_size=1))
def test_the_histogram_counts_every_value_once(values: list[int]) -> None:
    found = quantiles(values)

    assert sum(found["histogram"].values()) == len(values)
    assert min(values) <= found["p50"] <= found["p95"] <= found["max"] == max(values)
