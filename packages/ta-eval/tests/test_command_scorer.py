from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ta_eval.scorers.command import extract_command, same_command, score_command


class Pair(NamedTuple):
    verdict: str
    one: str
    other: str


PAIRS = [
    Pair(*line.replace("⏎", "\n").split("\t"))
    for line in (Path(__file__).parent / "command_pairs.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.verdict == "equal"], ids=str)
def test_commands_that_do_the_same_are_equal(pair: Pair) -> None:
    assert same_command(pair.one, pair.other)
    assert same_command(pair.other, pair.one)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.verdict == "different"], ids=str)
def test_commands_that_do_something_else_differ(pair: Pair) -> None:
    assert not same_command(pair.one, pair.other)
    assert not same_command(pair.other, pair.one)


def test_the_table_holds_at_least_sixty_pairs_of_each_kind_and_accuracy_is_above_95_percent() -> None:
    counts = {kind: sum(pair.verdict == kind for pair in PAIRS) for kind in ("equal", "different", "missed")}
    assert counts["equal"] >= 60
    assert counts["different"] >= 60
    right = sum(same_command(pair.one, pair.other) == (pair.verdict != "different") for pair in PAIRS)
    print(f"command scorer: {right} of {len(PAIRS)} pairs right ({right / len(PAIRS):.3f}); {counts}")
    assert right / len(PAIRS) > 0.95


def test_known_misses_are_still_misses_so_that_the_table_stays_true() -> None:
    assert [pair for pair in PAIRS if pair.verdict == "missed" and same_command(pair.one, pair.other)] == []


@pytest.mark.parametrize("command", sorted({text for pair in PAIRS for text in pair[1:]}))
def test_a_command_equals_itself(command: str) -> None:
    assert same_command(command, command)


words = st.text("abcxyz019._-/", min_size=1, max_size=8).filter(lambda text: not text.startswith("-"))
any_text = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30)
letters = st.lists(st.sampled_from("abdhilrst"), min_size=1, max_size=5, unique=True)


@given(letters, st.randoms(), st.lists(words, max_size=3))
def test_the_order_and_grouping_of_flags_do_not_matter(flags: list[str], random, arguments: list[str]) -> None:  # type: ignore[no-untyped-def]
    shuffled = flags[:]
    random.shuffle(shuffled)
    tail = " ".join(arguments)
    clustered = f"ls -{''.join(flags)} {tail}"
    assert same_command(clustered, f"ls {' '.join('-' + flag for flag in shuffled)} {tail}")
    assert same_command(clustered, f"ls {tail} -{''.join(shuffled)}")


quoted = st.text("abc .,:;=+", max_size=8).map(lambda text: "x" + text)
"""tree-sitter-bash 0.25 drops a word's leading backslash-blank, so words begin with a letter."""


@given(st.lists(quoted, min_size=1, max_size=3))
def test_the_kind_of_quotes_does_not_matter(arguments: list[str]) -> None:
    single = " ".join(f"'{text}'" for text in arguments)
    double = " ".join(f'"{text}"' for text in arguments)
    escaped = " ".join("".join(f"\\{char}" if char in " ;=" else char for char in text) for text in arguments)
    assert same_command(f"touch {single}", f"touch {double}")
    assert same_command(f"touch {single}", f"touch {escaped}")


@given(words, words)
def test_swapped_positional_arguments_differ(one: str, other: str) -> None:
    same = one.strip("./") == other.strip("./")
    assert same or not same_command(f"mv {one} {other}", f"mv {other} {one}")


@given(any_text)
def test_no_answer_makes_the_scorer_fail(answer: str) -> None:
    assert score_command(answer, ["ls -l"]).value in (0.0, 1.0)


@given(st.text("|&;<>()$`\\\"'{}[]*?~#= \nabif-", max_size=40))
def test_no_shell_text_makes_the_scorer_fail_and_what_parses_equals_itself(text: str) -> None:
    from ta_eval.scorers.bash import canonical_forms

    assert canonical_forms(text) is None or same_command(text, text)


@pytest.mark.parametrize(
    ("answer", "command"),
    [
        ("Use this.\n\n```bash\nls -l\n```\nor\n```\nls\n```", "ls -l"),
        ("```\nls -l\n```", "ls -l"),
        ("```sh\nls -l", "ls -l"),
        ("~~~\nls -l\n~~~", "ls -l"),
        ("Use `ls -l` for that, not `ls`.", "ls -l"),
        ("ls -l", "ls -l"),
        ("  $ ls -l  ", "ls -l"),
        ("Type this:\n$ ls -l\ntotal 0", "ls -l"),
        ("```bash\n# list it\n\nls -l\n```", "ls -l"),
        ("```console\n$ ls -l\ntotal 0\n```", "ls -l"),
        ("```bash\ncd /srv\nls -l\n```", "cd /srv\nls -l"),
        ("```bash ls -l```", "ls -l"),
        ("1. First:\n   ```bash\n   ls -l\n   ```", "ls -l"),
        ("I do not know.\nReally.", ""),
        ("", ""),
    ],
)
def test_the_command_is_found_in_any_usual_place(answer: str, command: str) -> None:
    assert extract_command(answer) == command


def test_a_right_command_says_which_reference_it_equals() -> None:
    score = score_command("```bash\nls -al\n```", ["ls", "ls -la"])
    assert score == (1.0, "ls -al", "equal to reference 2")


def test_an_unparsable_command_scores_0_and_says_so() -> None:
    score = score_command("```bash\nls -l |\n```", ["ls -l"])
    assert (score.value, score.reason) == (0.0, "not a command bash could parse")


def test_an_answer_without_a_command_scores_0_and_says_so() -> None:
    score = score_command("Which file?\nTell me.", ["ls -l"])
    assert (score.value, score.extracted, score.reason) == (0.0, "", "no command in the answer")


def test_a_sequence_in_a_block_equals_the_same_commands_with_semicolons() -> None:
    assert score_command("```bash\n# go\ncd /srv\nls -al\n```", ["cd /srv; ls -la"]).value == 1


@pytest.mark.parametrize("text", ["{\U00031860", "$(" * 2000, "echo " + "$(echo " * 300 + ")" * 300, "ls \0"])
def test_text_that_crashes_or_overflows_the_parser_is_just_no_command(text: str) -> None:
    assert score_command(text, ["ls"]) == (0.0, extract_command(text), "not a command bash could parse")


def test_names_outside_ascii_are_compared_too() -> None:
    assert same_command("rm 'größe.txt'", "rm größe.txt")
    assert not same_command("rm größe.txt", "rm große.txt")
