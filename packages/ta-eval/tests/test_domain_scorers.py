"""Scorers that a domain brings: `scorers:` in domain.yaml, by module or by a file beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.benchmark import read_benchmark
from ta_eval.scorers.own import read_scorers
from ta_schemas import InputError

Cli = Callable[..., Any]
CODE = """
def polite(row, answer):
    return "please" in answer.lower()

def short(row, answer):
    return 1.0 if len(answer) <= 12 else 0.25, answer[:12], f"{len(answer)} characters"
"""


@pytest.fixture
def domain(tmp_path: Path) -> Path:
    """A domain with two scorers in a file and a benchmark whose rows name them."""
    folder = tmp_path / "hotel"
    folder.mkdir()
    (folder / "scorers.py").write_text(CODE)
    (folder / "domain.yaml").write_text(
        "name: hotel\nscorers:\n  polite: scorers.py:polite\n  short: ./scorers.py:short\n"
    )
    rows = [
        {"id": name, "category": "style", "scorer": name, "messages": [{"role": "user", "content": name}]}
        for name in ("polite", "short")
    ]
    (folder / "benchmark.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = [{"id": "polite", "output": "Please wait."}, {"id": "short", "output": "much too long for this"}]
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    return folder


def test_the_functions_of_a_domain_score_its_items(cli: Cli, domain: Path) -> None:
    files = domain / "answers.jsonl", domain / "benchmark.jsonl"
    done = cli("score", *files, "--domain", domain / "domain.yaml")
    assert done.returncode == 0, done.stderr
    scores = {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert (scores["polite"]["score"], scores["short"]["score"]) == (1.0, 0.25)
    assert (scores["short"]["scorer"], scores["short"]["reason"]) == ("short", "22 characters")


def test_without_the_option_no_code_of_the_domain_is_run(cli: Cli, domain: Path) -> None:
    (domain / "scorers.py").write_text("raise SystemExit('ran')")
    done = cli("plan", domain / "benchmark.jsonl")
    assert done.returncode == 3
    assert "benchmark.jsonl:1: scorer: unknown: 'polite'" in done.stderr
    assert "that --domain names" in done.stderr


@pytest.mark.parametrize("command", ["plan", "run"])
def test_plan_and_run_take_the_domain_too(
    cli: Cli, domain: Path, server: Any, tmp_path: Path, command: str
) -> None:
    server.default = "please"
    asked = ["--base-url", server.url, "--model", "m", "--out", tmp_path / "o"] if command == "run" else []
    assert cli(command, domain / "benchmark.jsonl", *asked).returncode == 3
    done = cli(command, domain / "benchmark.jsonl", *asked, "--domain", domain)
    assert done.returncode == 0, done.stderr


def test_another_version_of_the_code_is_another_result(cli: Cli, domain: Path, tmp_path: Path) -> None:
    call = ["score", domain / "answers.jsonl", domain / "benchmark.jsonl", "--domain", domain]
    assert cli(*call, "--out", tmp_path / "o").returncode == 0
    assert cli(*call, "--out", tmp_path / "o").returncode == 0
    (domain / "scorers.py").write_text(CODE + "\n")
    assert cli(*call, "--out", tmp_path / "o").returncode == 4


def test_sealed_scores_can_be_verified_with_the_domain(cli: Cli, domain: Path, tmp_path: Path) -> None:
    files = domain / "answers.jsonl", domain / "benchmark.jsonl"
    for name in ("one", "two"):
        cli("score", *files, "--domain", domain, "--name", name, "--out", tmp_path / name)
    assert cli("compare", tmp_path / "one", tmp_path / "two", "--out", tmp_path / "report").returncode == 0
    assert cli("verify", tmp_path / "report").returncode == 3
    assert cli("verify", tmp_path / "report", "--domain", domain).returncode == 0


@pytest.mark.parametrize(
    ("scorers", "told"),
    [
        ("polite: scorers.py:none", "scorers.polite: scorer .* scorers.py has no function 'none'"),
        ("polite: nothing.py:f", "scorers.polite: no such file: "),
        ("polite: ../scorers.py:f", "scorers.polite: ../scorers.py is outside the domain's folder"),
        ("polite: broken.py:f", r"scorers.polite: .*broken.py:2: "),
        ("polite: no_such_module:f", "put its folder on PYTHONPATH"),
        ("polite: os:system", "os is Python's own"),
        ("exact: scorers.py:polite", "scorers.exact: is a scorer of ours: choose another name"),
        ("polite: 7", "scorers.polite: expected module:function or file.py:function, got 7"),
        ("[polite]", "scorers: expected name: module:function, got list"),
    ],
)
def test_what_is_wrong_with_a_scorer_is_told_with_its_place(domain: Path, scorers: str, told: str) -> None:
    (domain / "broken.py").write_text("x = 1\ndef f(:\n")
    (domain / "domain.yaml").write_text(f"name: hotel\nscorers:\n  {scorers}\n")
    with pytest.raises(InputError, match=told) as caught:
        read_scorers(domain)
    assert str(caught.value).startswith(f"{domain / 'domain.yaml'}: scorers")


def test_a_row_cannot_name_a_file(domain: Path, tmp_path: Path) -> None:
    row = json.loads((domain / "benchmark.jsonl").read_text().splitlines()[0])
    benchmark = tmp_path / "b.jsonl"
    benchmark.write_text(json.dumps(row | {"scorer": f"{domain}/scorers.py:polite"}) + "\n")
    with pytest.raises(InputError, match="is a file: name it under `scorers:`"):
        read_benchmark(benchmark, domain=domain)
