"""JSONL in the forms of OpenAI, ShareGPT, Alpaca and prompt/completion."""

from pathlib import Path
from typing import Any

import pytest

from ta_data.checks import Bad, Record
from ta_data.collect.chat_formats import detect_format, read_chat
from ta_data.config import Format
from ta_schemas.errors import InputError

QUESTION = {"role": "user", "content": "Hi?"}
ANSWER = {"role": "assistant", "content": "Yes."}
SYSTEM = {"role": "system", "content": "Be brief."}


def read(file: Path, chosen: Format | None = None) -> tuple[list[Record | Bad], str]:
    formats: dict[str, str] = {}
    records = list(read_chat(file, file.name, chosen, formats))
    return records, formats[file.name]


def turns(record: Record | Bad) -> list[tuple[str, str]]:
    assert isinstance(record, Record), record
    return [(m.role, m.content) for m in record.row.messages]


@pytest.mark.parametrize(
    ("raw", "name", "expected"),
    [
        ({"messages": [SYSTEM, QUESTION, ANSWER]}, "messages", ["Be brief.", "Hi?", "Yes."]),
        (
            {"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Yes."}]},
            "sharegpt",
            ["Hi?", "Yes."],
        ),
        (
            {
                "system": "Be brief.",
                "conversations": [{"from": "user", "value": "Hi?"}, {"from": "assistant", "value": "Yes."}],
            },
            "sharegpt",
            ["Be brief.", "Hi?", "Yes."],
        ),
        (
            {
                "conversations": [
                    {"from": "system", "value": "Be brief."},
                    {"from": "human", "value": "Hi?"},
                    {"from": "gpt", "value": "Yes."},
                ]
            },
            "sharegpt",
            ["Be brief.", "Hi?", "Yes."],
        ),
        ({"instruction": "Add.", "input": "1 2", "output": "3"}, "alpaca", ["Add.\n\n1 2", "3"]),
        ({"instruction": "Hi?", "input": "", "output": "Yes."}, "alpaca", ["Hi?", "Yes."]),
        (
            {"instruction": "C?", "output": "D", "history": [["A?", "B"]], "system": "S"},
            "alpaca",
            ["S", "A?", "B", "C?", "D"],
        ),
        ({"prompt": "Hi?", "completion": "Yes."}, "prompt-completion", ["Hi?", "Yes."]),
        (
            {"prompt": [SYSTEM, QUESTION], "completion": [ANSWER]},
            "prompt-completion",
            ["Be brief.", "Hi?", "Yes."],
        ),
    ],
)
def test_each_format_is_detected_and_becomes_messages(
    tmp_path: Path, make: Any, raw: dict[str, Any], name: str, expected: list[str]
) -> None:
    records, found = read(make.lines(tmp_path / "x.jsonl", [raw]))

    assert found == name
    assert [content for _, content in turns(records[0])] == expected
    roles = [role for role, _ in turns(records[0]) if role != "system"]
    assert roles == ["user", "assistant"] * (len(roles) // 2)


def test_our_own_fields_and_unknown_ones_are_kept(tmp_path: Path, make: Any) -> None:
    row = make.chat(
        "Hi?", "Yes.", id=7, group="g", task="t", kind="warn", license="MIT", source="web", mood="good"
    )

    (record,), _ = read(make.lines(tmp_path / "x.jsonl", [row]))

    assert isinstance(record, Record)
    kept = record.row
    assert (kept.id, kept.group, kept.task, kept.kind) == ("7", "g", "t", "warn")
    assert (kept.license, kept.source, kept.extra) == ("MIT", "web", {"mood": "good"})
    assert record.where == "x.jsonl:1"


def test_a_row_without_id_is_named_by_its_line(tmp_path: Path, make: Any) -> None:
    records, _ = read(make.lines(tmp_path / "x.jsonl", [make.chat("A?", "B"), make.chat("C?", "D")]))

    assert [r.row.id for r in records if isinstance(r, Record)] == ["x.jsonl:1", "x.jsonl:2"]


def test_a_chosen_format_overrides_the_keys(tmp_path: Path, make: Any) -> None:
    both = {**make.chat("A?", "B"), "prompt": "C?", "completion": "D"}
    file = make.lines(tmp_path / "x.jsonl", [both])

    assert turns(read(file)[0][0])[0] == ("user", "A?")
    assert turns(read(file, "prompt-completion")[0][0])[0] == ("user", "C?")


@pytest.mark.parametrize(
    ("raw", "reason", "what"),
    [
        ([1], "not an object", "one JSON object a line"),
        ({"text": "x"}, "unknown format", "the keys text are of no known format"),
        ({"messages": "x"}, "wrong type", "messages: expected a list"),
        (
            {"messages": [{"role": "user"}]},
            "missing key",
            "messages[0]: expected the keys 'role' and 'content'",
        ),
        (
            {"messages": [{"role": "bot", "content": "x"}]},
            "wrong role",
            "messages[0]: role 'bot' is none of system",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "wrong role", "role 'tool'"),
        ({"messages": [{"role": [], "content": "x"}]}, "wrong role", "role []"),
        ({"messages": [QUESTION, {"role": "assistant", "content": None}]}, "empty answer", "messages[1]"),
        (
            {"messages": [{"role": "user", "content": ["x"]}]},
            "wrong type",
            "messages[0]: content: expected text",
        ),
        ({"messages": [QUESTION, ANSWER], "kind": "wran"}, "wrong type", "kind"),
        ({"messages": [QUESTION, ANSWER], "group": 3}, "wrong type", "group"),
        ({"conversations": [{"from": "human"}]}, "missing key", "conversations[0]"),
        ({"conversations": ["x"]}, "wrong type", "list of {from, value}"),
        ({"conversations": [{"from": "bot", "value": "x"}]}, "wrong role", "role 'bot'"),
        ({"instruction": "x", "output": "y", "history": ["z"]}, "wrong type", "history"),
        ({"instruction": "x", "output": "y", "input": 3}, "wrong type", "input: expected text"),
        ({"instruction": "x", "output": 3}, "wrong type", "messages[1]: content: expected text"),
        ({"prompt": "x", "completion": []}, "wrong type", "two strings or two lists"),
    ],
)
def test_what_is_no_conversation_is_named(tmp_path: Path, make: Any, raw: Any, reason: str, what: str) -> None:
    (bad,), _ = read(make.lines(tmp_path / "x.jsonl", [raw]))

    assert isinstance(bad, Bad)
    assert (bad.where, bad.reason) == ("x.jsonl:1", reason)
    assert what in bad.detail


def test_a_later_row_without_the_keys_of_the_format_is_named(tmp_path: Path, make: Any) -> None:
    file = make.lines(
        tmp_path / "x.jsonl", [make.chat("A?", "B"), {"prompt": "x", "completion": "y", "id": "p"}]
    )

    _, bad = read(file)[0]

    assert isinstance(bad, Bad)
    assert (bad.where, bad.reason, bad.id) == ("x.jsonl:2", "missing key", "p")


def test_unreadable_lines_are_given_in_their_place(tmp_path: Path, make: Any) -> None:
    file = make.lines(tmp_path / "x.jsonl", [make.chat("A?", "B")])
    file.write_bytes(b"{broken\n" + file.read_bytes() + b'{"a": "\xff"}\n{again\n')

    records, found = read(file)

    assert [type(r) for r in records] == [Bad, Record, Bad, Bad]
    assert [r.where for r in records] == ["x.jsonl:1", "x.jsonl:2", "x.jsonl:3", "x.jsonl:4"]
    assert found == "messages"


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\n\n")

    with pytest.raises(InputError, match=r"x\.jsonl: empty file"):
        read(tmp_path / "x.jsonl")


def test_no_format_is_detected_from_half_its_keys() -> None:
    assert detect_format({"prompt": "x"}) is None
    assert detect_format({"instruction": "x", "input": "y"}) is None
