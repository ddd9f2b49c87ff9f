"""`ta-eval equivalent`, and the rules by which two commands are the same. Needs Debian's bubblewrap."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.benchmark import read_benchmark
from ta_eval.evaluate import what_can_be_seen
from ta_eval.item import Item
from ta_eval.sandbox.bwrap import Refused, Sandbox, find_sandbox
from ta_eval.sandbox.equivalence import Verdict, compare_commands, sample_home
from ta_eval.sandbox.execute import Execution, execute
from ta_eval.saved import score_predictions
from ta_eval.scorers import score_answer
from ta_eval.scorers.command import same_command
from ta_eval.scorers.execution import score_command_execution
from ta_schemas.jsonl import to_row

PAIRS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "command-pairs.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    found = find_sandbox()
    if isinstance(found, Refused):
        pytest.skip(f"needs the system package bubblewrap: {found.reason}")
    return found


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ta_eval.sandbox.bwrap", "ta_eval.scorers.execution"):
        monkeypatch.setattr(f"{module}.find_sandbox", lambda: Refused("no sandbox: not here"))


@pytest.mark.parametrize(
    ("reference", "candidate", "setup", "reason"),
    [
        ("mv a b", "cp a b && rm a", "echo x > a; touch -d 2026-01-01 a", "/home/user/b: another time"),
        ("cp a b", "mv a b", "echo x > a", "/home/user/a: missing"),
        ("chmod 600 a", "chmod 640 a", "echo x > a", "/home/user/a: another mode"),
        ("cat a", "rm a", "echo x > a", "candidate changes files: /home/user/a"),
        ("cat a", "cat b", "echo x > a; echo y > b", "prints 'y', expected 'x'"),
        ("cat a", "true", "echo x > a", "prints nothing, expected 'x'"),
        ("cat a", "frobnicate a", "echo x > a", "prints nothing, expected 'x'"),
        ("cd d", "cd ..", "mkdir d", "another state of the shell"),
        ("true", "echo x", "", "candidate prints something, reference does not"),
        ("grep -q x a", "grep -q y a", "echo x > a", "exit status 1, expected 0"),
    ],
)
def test_commands_that_differ_are_told_apart_with_a_reason(
    sandbox: Sandbox, reference: str, candidate: str, setup: str, reason: str
) -> None:
    assert compare_commands(sandbox, reference, candidate, setup=setup) == Verdict(False, reason)


def test_a_candidate_that_does_not_end_is_different(sandbox: Sandbox) -> None:
    found = compare_commands(sandbox, "cat a", "sleep 60", setup="echo x > a", wall_s=2)
    assert found.equivalent is False
    assert found.reason.startswith("candidate: still running after ")


@pytest.mark.parametrize(
    ("reference", "candidate", "setup", "reason"),
    [
        ("mv -v a b", "mv a b", "echo x > a", "same files: /home/user/a"),
        ("cat a", "sed p -n a", "echo ' x  y ' > a", "same output"),
        ("find . -type f", "find -type f | sort", "touch a b c", "same output, in another order"),
        ("wc -l a", "wc -l < a", "echo x > a", "same number"),
        ("export A=1", "A=1; export A", "", "same state of the shell"),
        ("env", "printenv", "", "same output"),
        ("du -sb d", "du -s --bytes d/", "mkdir d", "same output"),
        ("sudo chmod 600 a", "chmod u=rw,go= a", "touch a", "same files: /home/user/a"),
        ("gzip a", "gzip -c a > a.gz; touch -r a a.gz; rm a", "echo x > a", "same files: /home/user/a"),
        ("git add a", "git add -A", "git init -q; touch a", "same files: /home/user/.git/staged"),
        ("cat a", "  cat   a ", "echo x > a", "the same text"),
    ],
)
def test_commands_that_do_the_same_are_equivalent_and_say_by_what(
    sandbox: Sandbox, reference: str, candidate: str, setup: str, reason: str
) -> None:
    assert compare_commands(sandbox, reference, candidate, setup=setup) == Verdict(True, reason)


@pytest.mark.parametrize(
    ("reference", "candidate", "setup", "reason"),
    [
        ("true", "test -d /", "", "nothing to be seen"),
        ("cat none", "cat other", "", "reference fails here: cat: none"),
        ("cat none | wc -l", "wc -l < /etc/none", "", "reference fails here: cat: none"),
        ("frobnicate x", "ls", "", "tool missing: frobnicate"),
        ("echo $RANDOM", "echo 5", "", "not repeatable"),
        ("ls", "ls -a", "exit 1", "setup failed"),
    ],
)
def test_where_nothing_can_be_said_there_is_no_verdict(
    sandbox: Sandbox, reference: str, candidate: str, setup: str, reason: str
) -> None:
    verdict = compare_commands(sandbox, reference, candidate, setup=setup)
    assert verdict.equivalent is None
    assert verdict.reason.startswith(reason)


def test_a_candidate_that_uses_a_real_tool_which_is_missing_here_is_not_called_wrong(sandbox: Sandbox) -> None:
    candidates = ("docker", "sponge", "rg")  # of the options table, and of the others
    missing = [tool for tool in candidates if not execute(sandbox, f"command -v {tool}").stdout]
    if not missing:
        pytest.skip(f"{candidates} are all installed here")
    for tool in missing:
        verdict = compare_commands(sandbox, "ls", f"{tool} a", setup="touch a")
        assert verdict == Verdict(None, f"tool missing: {tool} is not installed here")


@pytest.fixture
def ask(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Give pairs to `ta-eval equivalent` on standard input."""

    def call(pairs: list[dict[str, Any]], *options: object) -> list[dict[str, Any]]:
        text = "".join(json.dumps(pair) + "\n" for pair in pairs)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        done = cli("equivalent", *options)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return call


def test_a_verdict_a_line_comes_in_the_order_of_the_pairs(sandbox: Sandbox, ask: Callable[..., Any]) -> None:
    pairs = [
        {"id": 7, "reference": "cat notes.txt", "candidate": "cat < notes.txt"},
        {"reference": "cat a", "candidate": "cat b", "setup": "echo 1 > a; echo 2 > b"},
        {"reference": "true", "candidate": "test 1"},
    ]
    told = ask(pairs, "--jobs", 2)
    assert [row["verdict"] for row in told] == ["equivalent", "different", "unscored"]
    assert [row["equivalent"] for row in told] == [True, False, None]
    assert told[0]["id"] == 7
    assert {row["by"] for row in told} == {"execution"}


def test_structure_is_compared_only_if_that_is_asked_for(sandbox: Sandbox, ask: Callable[..., Any]) -> None:
    pair = {"reference": "systemctl restart nginx", "candidate": "systemctl restart nginx.service"}
    assert ask([pair])[0]["verdict"] == "unscored"
    told = ask([pair], "--structure")[0]
    assert (told["verdict"], told["by"]) == ("equivalent", "structure")


def test_the_wall_time_is_handed_on(
    sandbox: Sandbox, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    def look(*_: Any, wall_s: float, **__: Any) -> Verdict:
        waited.append(wall_s)
        return Verdict(None, "looked")

    monkeypatch.setattr("ta_eval.sandbox.equivalence.compare_commands", look)
    ask([{"reference": "ls", "candidate": "ls -a"}], "--wall-s", 3)
    assert waited == [3.0]


def test_a_slow_machine_has_more_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def slow(sandbox: Sandbox, command: str, *, setup: str, wall_s: float) -> Execution:
        waited.append((command, wall_s))
        return Execution(stdout="" if command == ":" else "x", seconds=3.0)

    monkeypatch.setattr("ta_eval.sandbox.equivalence.execute", slow)
    assert compare_commands(Sandbox((), ""), "cat a", "cat b", wall_s=10.0).equivalent is True
    assert waited == [(":", 10.0), ("cat a", 30.0), ("cat b", 30.0)]


def test_a_file_is_read_too_and_a_wrong_line_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"reference": "ls", "candidate": "ls"}\n{"reference": "ls"}\n')
    done = cli("equivalent", tmp_path / "p.jsonl")
    assert done.returncode == 3
    assert "p.jsonl:2: candidate: expected a text" in done.stderr


def test_without_a_sandbox_every_pair_is_unscored_with_the_reason(  # type: ignore[no-untyped-def]
    refused, ask: Callable[..., Any]
) -> None:
    told = ask([{"reference": "echo 1", "candidate": "printf '1\\n'"}])[0]
    assert (told["equivalent"], told["reason"]) == (None, "no sandbox: not here")


def test_without_a_sandbox_an_answer_is_unscored_and_nothing_runs(refused, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    score = score_command_execution(f"touch {tmp_path}/ran", ["echo hi"], "")
    assert score == (None, f"touch {tmp_path}/ran", "no sandbox: not here")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("answer", ["`echo hi`", "I do not know.\nSorry."])
def test_without_a_sandbox_the_text_decides_nothing_for_right_ones_would_be_scored_sooner_than_wrong_ones(  # type: ignore[no-untyped-def]
    refused, answer: str
) -> None:
    assert score_command_execution(answer, ["echo hi"], "").value is None


def test_an_answer_that_is_a_reference_is_right_without_running_anything(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ta_eval.scorers.execution.compare_commands", None)
    assert score_command_execution("```bash\nls -al\n```", ["ls -la"], "").value == 1


@pytest.mark.parametrize(
    ("answer", "value", "reason"),
    [
        ("```bash\ngrep beta a | wc -l\n```", 1.0, "does what reference 2 does: same output"),
        ("`grep -c alpha a`", 0.0, "prints '0', expected '2'"),
        ("I do not know.\nSorry.", 0.0, "no command in the answer"),
        ("`grep |`", 0.0, "not a command bash could parse"),
    ],
)
def test_an_answer_is_right_if_it_does_what_any_reference_does(
    sandbox: Sandbox, answer: str, value: float, reason: str
) -> None:
    score = score_command_execution(answer, ["cat none", "grep -c beta a"], "printf 'beta\\nbeta\\n' > a")
    assert (score.value, score.reason) == (value, reason)


def test_the_setup_of_a_row_is_what_its_commands_run_in(
    sandbox: Sandbox, make_item: Callable[..., Any]
) -> None:
    fields = {"scorer": "command_execution", "references": ["cat a"]}
    row = to_row(make_item(0, **fields, setup="echo mine > a"), Item)
    assert score_answer(row, "`echo mine`").value == 1
    assert score_answer(to_row(make_item(0, **fields), Item), "`echo mine`").value is None
    home = to_row(make_item(0, scorer="command_execution", references=["head -n 1 notes.txt"]), Item)
    assert score_answer(home, "`echo alpha`").value == 1


def test_items_without_a_sandbox_are_counted_as_unscored_and_never_as_wrong(  # type: ignore[no-untyped-def]
    refused, make_item: Callable[..., Any], write_benchmark: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [make_item(n, scorer="command_execution", references=["ls -a"]) for n in range(3)]
    answers = tmp_path / "a.jsonl"
    commands = ["ls --all", "ls", "echo ."]
    lines = [{"id": f"item-{n:03}", "output": f"`{command}`"} for n, command in enumerate(commands)]
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    artifact = score_predictions(answers, write_benchmark(rows), tmp_path / "o")
    summary = json.loads(artifact.file("summary.json").read_text())
    assert (summary["scored"], summary["unscored"]) == (0, {"no sandbox": 3})
    assert artifact.manifest.config["sandbox"] == {"refused": "no sandbox: not here"}


def test_before_a_run_it_is_said_what_cannot_be_scored_without_a_sandbox(
    make_item: Callable[..., Any], write_benchmark: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [make_item(n, scorer="command_execution", references=["ls"]) for n in range(3)]
    items = read_benchmark(write_benchmark([*rows, *(make_item(n) for n in range(3, 10))]))
    monkeypatch.setattr("ta_eval.sandbox.bwrap.find_sandbox", lambda: Refused("no sandbox: not here"))
    told = what_can_be_seen(items)
    assert "benchmark: 7 items." in told
    assert told.endswith("3 more items cannot be scored here: no sandbox: not here.")
    monkeypatch.setattr("ta_eval.sandbox.bwrap.find_sandbox", lambda: Sandbox((), ""))
    assert "benchmark: 10 items." in what_can_be_seen(items)


def accuracy(pairs: list[dict[str, Any]], judge: Callable[[dict[str, Any]], bool]) -> tuple[float, float]:
    """Share of pairs judged right, and share of real equivalents among those judged equivalent."""
    judged = [(judge(pair), pair["equivalent"]) for pair in pairs]
    positive = [truth for said, truth in judged if said]
    return sum(said == truth for said, truth in judged) / len(judged), sum(positive) / max(len(positive), 1)


def by_execution(sandbox: Sandbox) -> Callable[[dict[str, Any]], bool]:
    def judge(pair: dict[str, Any]) -> bool:
        setup = pair.get("setup", sample_home())
        return score_command_execution(pair["candidate"], [pair["reference"]], setup).value == 1

    return judge


def test_the_pairs_are_at_least_200_half_of_each_kind_and_all_different() -> None:
    assert len(PAIRS) >= 200
    assert 0.4 <= sum(pair["equivalent"] for pair in PAIRS) / len(PAIRS) <= 0.6
    assert len({(pair["reference"], pair["candidate"], pair.get("setup")) for pair in PAIRS}) == len(PAIRS)


def test_by_structure_alone_nothing_different_is_called_equal() -> None:
    right, precision = accuracy(PAIRS, lambda pair: same_command(pair["reference"], pair["candidate"]))
    print(f"structure: accuracy {right:.3f}, precision {precision:.3f}")
    assert precision >= 0.98


def test_every_fortieth_pair_is_judged_right_by_execution(sandbox: Sandbox) -> None:
    right, precision = accuracy(PAIRS[::40], by_execution(sandbox))
    assert right >= 0.9
    assert precision >= 0.98


@pytest.mark.slow
def test_by_execution_accuracy_is_at_least_90_percent_and_precision_98(sandbox: Sandbox) -> None:
    right, precision = accuracy(PAIRS, by_execution(sandbox))
    print(f"execution: accuracy {right:.3f}, precision {precision:.3f}, n = {len(PAIRS)}")
    assert right >= 0.9
    assert precision >= 0.98
