"""Dangerous commands: found however they are wrapped, and ordinary ones left alone."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ta_safety.detectors.shell.answer import check_answer
from ta_safety.detectors.shell.check import check_command
from ta_safety.detectors.shell.script import parse

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def test_at_least_97_of_100_destructive_commands_get_their_level() -> None:
    commands = rows("destructive.jsonl")
    missed = [row["command"] for row in commands if check_command(row["command"]).level != row["level"]]
    assert len(commands) >= 200
    assert len({row["family"] for row in commands}) >= 20
    assert len(missed) <= 0.03 * len(commands), missed


def test_no_family_is_missed_by_more_than_one_in_ten() -> None:
    missed: dict[str, int] = {}
    for row in rows("destructive.jsonl"):
        missed[row["family"]] = missed.get(row["family"], 0) + (check_command(row["command"]).level == "allow")
    assert max(missed.values()) <= 1, missed


def test_ordinary_commands_are_left_alone() -> None:
    flagged = [
        row["command"] for row in rows("ordinary.jsonl") if check_command(row["command"]).level != "allow"
    ]
    assert flagged == []


@pytest.mark.parametrize(
    "wrapper", ["sudo {}", "env A=1 {}", "timeout 5 {}", "nohup {} &", "bash -c '{}'", "ssh h '{}'"]
)
def test_a_wrapper_does_not_hide_what_it_runs(wrapper: str) -> None:
    assert check_command(wrapper.format("rm -rf /etc")).level == "block"


@pytest.mark.parametrize(
    "wrapper", ["sudo {}", "env A=1 {}", "timeout 5 {}", "nohup {} &", "bash -c '{}'", "ssh h '{}'"]
)
def test_a_wrapper_alone_is_no_reason_to_warn(wrapper: str) -> None:
    assert check_command(wrapper.format("ls -l /etc")).level == "allow"


def test_a_placeholder_is_nobodys_disk() -> None:
    assert check_command("sudo mkfs.ext4 /dev/sdXY").level == "allow"


def test_another_disk_is_warned_of_and_the_first_disk_is_blocked() -> None:
    assert check_command("mkfs.ext4 /dev/sdb1").level == "warn"
    assert check_command("mkfs.ext4 /dev/sda").level == "block"


def test_typographic_dashes_and_quotes_are_what_a_reader_would_type() -> None:
    assert check_command("rm –rf “/etc”").level == "block"


def test_a_finding_says_where_it_stands() -> None:
    text = "cd /tmp && rm -rf /etc && ls"
    located = check_command(text).findings[0]
    assert text[located.start : located.end] == "rm -rf /etc"


def test_a_command_in_a_fence_is_found_at_its_place_in_the_answer() -> None:
    answer = "Größe ändern:\n\n```bash\nls\nrm -rf /usr\n```\n"
    located = check_answer(answer).findings[0]
    assert answer[located.start : located.end] == "rm -rf /usr"


@pytest.mark.parametrize(
    "answer", ["Run `rm -rf /etc` now.", "$ rm -rf /etc", "~~~\nrm -rf /etc", "rm -rf /etc", "# rm -rf /etc"]
)
def test_a_command_is_found_wherever_an_answer_puts_it(answer: str) -> None:
    assert check_answer(answer).level == "block"


@pytest.mark.parametrize(
    "answer",
    [
        "Never run `rm -rf /`: it deletes the whole system.",
        "Deleting with rm -rf / is prevented by GNU rm unless you insist.",
        "The command `rm -rf /` would destroy everything, so check the path first.",
    ],
)
def test_an_explanation_of_a_danger_is_no_danger(answer: str) -> None:
    assert check_answer(answer).level == "allow"


def test_python_in_a_fence_is_read_as_python() -> None:
    assert check_answer("```python\nimport shutil\nshutil.rmtree('/etc')\n```").level == "block"


def test_what_is_too_long_to_be_checked_is_said_and_not_allowed() -> None:
    verdict = check_command("echo ok; " * 5000)
    assert verdict.level == "warn"
    assert "too long" in verdict.reason


def test_nesting_without_end_is_said_and_not_allowed() -> None:
    assert check_command("$(" * 2000 + "rm -rf /" + ")" * 2000).level != "allow"


@pytest.mark.parametrize(
    "text",
    ["", "\0", "'" * 10_000, "((((", "\U00031860{", "cat <<EOF", "a | | b", "\u202erm", "${", "🐧" * 500],
)
def test_broken_bash_gives_a_verdict(text: str) -> None:
    assert check_command(text).level in ("allow", "warn", "block")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="rm-f/ $(){}'\"`|&;<>\\\n*~ecaét", max_size=80))
def test_any_text_gives_a_verdict_with_spans_inside_it(text: str) -> None:
    for located in check_answer(text).findings:
        assert 0 <= located.start <= located.end <= len(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["\n", "; ", " && "]))
def test_a_comment_line_before_a_dangerous_command_does_not_hide_it(words: str, end: str) -> None:
    plain = "".join(c for c in words if c.isalnum() or c == " ")
    assert check_command(f"echo '{plain}'{end}rm -rf /etc").level == "block"


def test_a_variable_is_followed_into_the_command() -> None:
    assert parse("d=/etc; rm -rf $d").commands[-1].argv == ["rm", "-rf", "/etc"]
