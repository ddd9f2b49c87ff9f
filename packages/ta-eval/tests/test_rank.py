import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def battles(tmp_path: Path) -> Path:
    """Strong beats middle and weak mostly, middle beats weak mostly."""
    rng = random.Random(3)
    rows = []
    for item in range(60):
        for first, second, chance in (
            ("middle", "strong", 0.3),
            ("weak", "middle", 0.3),
            ("strong", "weak", 0.85),
        ):
            winner = "tie" if rng.random() < 0.1 else "first" if rng.random() < chance else "second"
            rows.append({"first": first, "second": second, "winner": winner, "item": f"q{item}"})
    file = tmp_path / "battles.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_the_strongest_comes_first_with_its_interval(cli: Cli, battles: Path) -> None:
    found = json.loads(cli("rank", battles, "--json").stdout)
    assert [one["name"] for one in found] == ["strong", "middle", "weak"]
    assert found[0]["strength"]["low"] > found[2]["strength"]["high"]
    assert sum(one["strength"]["estimate"] for one in found) == pytest.approx(0)
    assert [one["battles"] for one in found] == [120, 120, 120]


def test_the_table_names_every_system(cli: Cli, battles: Path) -> None:
    lines = cli("rank", battles).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["strong", "middle", "weak"]


def test_seed_and_resamples_decide_the_bootstrap(cli: Cli, battles: Path) -> None:
    options: list[list[object]] = [[], [], ["--seed", 1], ["--resamples", 100]]
    lows = [json.loads(cli("rank", battles, "--json", *more).stdout)[0]["strength"]["low"] for more in options]
    assert lows[0] == lows[1]
    assert len(set(lows)) == 3


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"second": "b", "winner": "tie"}, ":1: first: expected a system's name"),
        ({"first": "a", "second": "a", "winner": "tie"}, ":1: second: a system cannot meet itself"),
        ({"first": "a", "second": "b", "winner": "a"}, ":1: winner: expected first, second or tie, got 'a'"),
    ],
)
def test_a_wrong_line_is_told_with_its_field(row: dict[str, str], told: str, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps(row) + "\n")
    done = cli("rank", file)
    assert (done.returncode, told in done.stderr) == (3, True)
