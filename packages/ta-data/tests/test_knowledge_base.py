"""The Markdown knowledge base."""

from pathlib import Path

import pytest

from ta_data.checks import Bad, Record
from ta_data.collect.knowledge_base import read_knowledge_base
from ta_schemas.errors import InputError
from ta_schemas.rows import ConversationRow

TASK = """\
## Title

- task: t
- group: g

### Questions

- First {a}?
- Second {a}?

### Answer

Say {a}.
"""

VALUES = """
### Values

| a |
| --- |
| one |
"""


def rows_of(file: Path, text: str, refusal: str = "") -> list[ConversationRow]:
    records = read(file, text, refusal)
    assert all(isinstance(record, Record) for record in records), records
    return [record.row for record in records if isinstance(record, Record)]


def read(file: Path, text: str, refusal: str = "") -> list[Record | Bad]:
    file.write_text(text, encoding="utf-8")
    return list(read_knowledge_base(file, file.name, refusal))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kb.md"


def test_question_k_is_filled_from_row_k_of_the_values(file: Path) -> None:
    text = TASK + VALUES + "| two |\n"

    rows = rows_of(file, text)

    assert [row.messages[0].content for row in rows] == ["First one?", "Second two?"]
    assert [row.messages[1].content for row in rows] == ["Say one.", "Say two."]


def test_values_wrap_round_when_there_are_more_questions(file: Path) -> None:
    assert [row.messages[0].content for row in rows_of(file, TASK + VALUES)] == ["First one?", "Second one?"]


def test_braces_that_name_no_column_are_left_alone(file: Path) -> None:
    text = TASK.replace("Say {a}.", "Say {a}: `awk '{print $1}'` {} ${HOME} {b}") + VALUES

    assert rows_of(file, text)[0].messages[1].content == "Say one: `awk '{print $1}'` {} ${HOME} {b}"


def test_a_value_that_holds_a_placeholder_is_not_filled_in_again(file: Path) -> None:
    text = TASK.replace("Say {a}.", "{a} {b}") + "\n### Values\n\n| a | b |\n|---|---|\n| {b} | x |\n"

    assert rows_of(file, text)[0].messages[1].content == "{b} x"


def test_an_escaped_bar_in_a_cell_is_a_bar(file: Path) -> None:
    text = TASK + VALUES.replace("| one |", "| a \\| b |")

    assert rows_of(file, text)[0].messages[0].content == "First a | b?"


def test_ids_groups_and_sources_tell_where_a_row_comes_from(file: Path) -> None:
    first, second = rows_of(file, "# Intro\n\ntext\n\n" + TASK + VALUES)

    assert (first.id, first.task, first.group, first.kind) == ("t-q1", "t", "g", "answer")
    assert (first.source, second.source) == ("kb.md:12", "kb.md:13")


def test_follow_ups_continue_the_last_question_only(file: Path) -> None:
    text = (
        TASK
        + "\n### Follow-up\n\n> And {a}\n> then?\n\nThat, {a}.\n\n### Follow-up\n\n> More?\n\nNo.\n"
        + VALUES
    )

    first, second = rows_of(file, text)

    assert len(first.messages) == 2
    assert [m.content for m in second.messages] == [
        "Second one?",
        "Say one.",
        "And one then?",
        "That, one.",
        "More?",
        "No.",
    ]
    assert [m.role for m in second.messages] == ["user", "assistant"] * 3


def test_headings_inside_a_fenced_block_belong_to_the_answer(file: Path) -> None:
    answer = "Like so.\n\n```bash\n## not a task\n### not a part\n```"
    text = TASK.replace("Say {a}.", answer)

    assert [row.messages[1].content for row in rows_of(file, text)] == [answer, answer]


def test_questions_are_literal_text(file: Path) -> None:
    text = TASK.replace("First {a}?", "- *a* _b_ `c` \\| <d> # e")

    assert rows_of(file, text)[0].messages[0].content == "- *a* _b_ `c` \\| <d> # e"


def test_an_out_of_scope_task_without_answer_takes_the_refusal(file: Path) -> None:
    text = TASK.replace("- group: g", "- group: g\n- kind: out-of-scope").replace(
        "### Answer\n\nSay {a}.\n", ""
    )

    assert [row.messages[1].content for row in rows_of(file, text, "Not my field.")] == ["Not my field."] * 2
    assert [row.kind for row in rows_of(file, text, "No.")] == ["out-of-scope"] * 2
    (bad,) = read(file, text)
    assert isinstance(bad, Bad)
    assert "domain.yaml has no refusal" in bad.detail


def test_windows_line_ends_and_a_byte_order_mark_are_read(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + TASK.replace("\n", "\r\n").encode())

    records = list(read_knowledge_base(file, "kb.md", ""))

    assert [r.row.messages[1].content for r in records if isinstance(r, Record)] == ["Say {a}."] * 2


@pytest.mark.parametrize(
    ("change", "line", "what"),
    [
        (("- task: t\n", ""), 1, "no '- task: …'"),
        (("- group: g\n", ""), 1, "no '- group: …'"),
        (("- group: g", "- grup: g"), 4, "expected '- task: …'"),
        (
            ("- group: g", "- group: g\n- kind: wran"),
            5,
            "'wran' is none of answer, warn, clarify, out-of-scope",
        ),
        (("### Questions", "### Question"), 6, "unknown heading 'Question', expected one of Questions"),
        (("### Answer", "### Answer\n\nA.\n\n### Answer"), 15, "a second 'Answer' in task 't'"),
        (("- Second {a}?", "Second {a}?"), 9, "expected a question '- …' on one line"),
        (("- First {a}?\n- Second {a}?\n", ""), 1, "has no question"),
        (("Say {a}.\n", ""), 1, "has no answer"),
        (("### Answer\n\nSay {a}.\n", ""), 1, "has no answer"),
        (("### Answer", "### Values\n\n| a |\n|---|\n\n### Answer"), 11, "expected a table: a header row"),
        (
            ("### Answer", "### Values\n\n| a |\n|---|\n| 1 | 2 |\n\n### Answer"),
            15,
            "2 cells where the header has 1",
        ),
        (("### Answer", "### Values\n\n| a |\n|---|\n| |\n\n### Answer"), 15, "an empty cell"),
        (("### Answer", "### Values\n\n| a b |\n|---|\n| 1 |\n\n### Answer"), 13, "plain words"),
        (
            ("### Answer", "### Values\n\n| a | a |\n|---|---|\n| 1 | 2 |\n\n### Answer"),
            13,
            "different plain words",
        ),
        (("### Answer", "### Values\n\na: 1\n\n### Answer"), 13, "expected a table row"),
        (
            ("### Answer", "### Values\n\n| c |\n|---|\n| 1 |\n\n### Answer"),
            1,
            "column 'c' of its values is used nowhere",
        ),
        (
            ("Say {a}.", "Say {a}.\n\n### Follow-up\n\nNo quote."),
            15,
            "does not begin with the user's message",
        ),
        (("Say {a}.", "Say {a}.\n\n### Follow-up\n\n> Quote."), 15, "the follow-up has no answer"),
    ],
)
def test_a_fault_is_named_with_its_line(file: Path, change: tuple[str, str], line: int, what: str) -> None:
    assert change[0] in TASK
    (bad,) = read(file, TASK.replace(*change))

    assert isinstance(bad, Bad)
    assert bad.where == f"kb.md:{line}"
    assert what in bad.detail
    assert bad.reason == "broken task section"


def test_a_broken_section_does_not_hide_the_others(file: Path) -> None:
    records = read(file, TASK.replace("- task: t", "- tusk: t") + "\n" + TASK)

    assert [type(record) for record in records] == [Bad, Record, Record]


def test_a_file_without_tasks_is_an_error(file: Path) -> None:
    with pytest.raises(InputError, match=r"kb\.md: no task in it"):
        read(file, "# Only a title\n")
