"""Bad input: one clear line on stderr, the documented exit code, and nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[[Path], object]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def messages(*roles_and_texts: tuple[str, str]) -> str:
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in roles_and_texts]})


GOOD = messages(("user", "A?"), ("assistant", "B."))
GOOD_ID = json.dumps({**json.loads(GOOD), "id": "x"})
OTHER_ID = json.dumps({**json.loads(messages(("user", "C?"), ("assistant", "D."))), "id": "x"})

BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "an empty file": ("", "{file}: empty file: expected one JSON object a line"),
    "broken JSON": (f"{GOOD}\n{{broken\n", "{file}:2: not valid JSON: "),
    "a list instead of lines": ('[{"messages": []}]', "{file}:1: expected one JSON object a line"),
    "unknown keys": ('{"text": "x"}', "{file}:1: the keys text are of no known format (messages: messages; "),
    "a wrong role": (
        messages(("bot", "A?")),
        "{file}:1: messages[0]: role 'bot' is none of system, user, assistant",
    ),
    "two users in a row": (
        messages(("user", "A?"), ("user", "B?"), ("assistant", "C.")),
        "{file}:1: two messages of the user follow one another",
    ),
    "an empty answer": (
        messages(("user", "A?"), ("assistant", " ")),
        "{file}:1: messages[1]: the assistant's text is",
    ),
    "no answer": (messages(("user", "A?")), "{file}:1: the last message is not the assistant's"),
    "an answer first": (
        messages(("assistant", "A")),
        "{file}:1: the first message (after the system prompt) is not",
    ),
    "duplicate ids": (f"{GOOD_ID}\n{OTHER_ID}", "{file}:2: id 'x' is used already at x.jsonl:1"),
    "a duplicate": (f"{GOOD}\n{GOOD}", "{file}:2: the same conversation stands at x.jsonl:1"),
    "UTF-16": (GOOD.encode("utf-16"), "{file}: UTF-16 text: convert it first (iconv -f UTF-16 -t UTF-8)"),
    "UTF-16 without mark": (GOOD.encode("utf-16-be"), "{file}: UTF-16 text"),
    "Latin-1": (b'{"messages": "\xe9"}', "{file}:1: "),
    "50 MB on a line": (
        b'{"a": "' + b"x" * 50_000_000 + b'"}\n',
        "{file}:1: line is longer than 16 MiB: split it",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_jsonl_file_is_named_in_one_line(tmp_path: Path, ta_data: Callable[..., Any], name: str) -> None:
    content, what = BAD_FILES[name]
    file = tmp_path / "x.jsonl"
    file.write_bytes(content.encode() if isinstance(content, str) else content)

    ran = ta_data("prepare", file, "--out", tmp_path / "out")

    assert ran.err.startswith("error: " + what.format(file=file))
    assert ran.err.count("\n") == 1
    assert (ran.code, ran.out) == (3, "")
    assert sorted(tmp_path.iterdir()) == [file]


BAD_MARKDOWN: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "{file}: no task in it: a task begins with a '## ' heading"),
    "no tasks": (b"# Title\n\nText.\n", "{file}: no task in it"),
    "UTF-16": ("## Täsk".encode("utf-16"), "{file}: UTF-16 text"),
    "Latin-1": ("# x\n\n## Täsk\n".encode("latin-1"), "{file}:3: not UTF-8: "),
    "a broken section": (
        b"# x\n\n## A\n\n- tusk: a\n",
        "{file}:5: expected '- task: …', '- group: …' or '- kind: …'",
    ),
    "50 MB on a line": (b"# x\n\n" + b"x" * 50_000_000, "{file}:3: line is longer than 16 MiB"),
}


@pytest.mark.parametrize("name", BAD_MARKDOWN)
def test_a_bad_markdown_file_is_named_in_one_line(
    tmp_path: Path, ta_data: Callable[..., Any], name: str
) -> None:
    content, what = BAD_MARKDOWN[name]
    file = tmp_path / "x.md"
    file.write_bytes(content)

    ran = ta_data("prepare", file, "--out", tmp_path / "out")

    assert ran.err.startswith("error: " + what.format(file=file))
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert sorted(tmp_path.iterdir()) == [file]


def test_one_task_id_in_two_files_is_named(domain: Path, ta_data: Callable[..., Any], tmp_path: Path) -> None:
    text = (domain / "raw" / "files.md").read_text().replace("How do I", "Would you")
    (domain / "raw" / "zz.md").write_text(text)

    ran = ta_data("prepare", domain, "--out", tmp_path / "out")

    assert f"{domain / 'raw' / 'zz.md'}:10: id 'cp-0-q1' is used already at raw/files.md:10" in ran.err


def test_a_missing_source_is_named(tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    ran = ta_data("prepare", tmp_path / "gone", "--out", tmp_path / "out")

    assert (ran.code, ran.err) == (3, f"error: {tmp_path / 'gone'}: no such file or folder\n")


def test_an_empty_folder_is_named(tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    (tmp_path / "in").mkdir()

    ran = ta_data("prepare", tmp_path / "in", "--out", tmp_path / "out")

    assert ran.code == 3
    assert (
        ran.err
        == f"error: {tmp_path / 'in'}: the folder is empty: put the raw data there, or name another one\n"
    )


def test_a_folder_without_readable_files_says_what_it_looked_for(
    tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("x")

    ran = ta_data("prepare", tmp_path / "in", "--out", tmp_path / "out")

    assert "the folder holds no .jsonl or .md file" in ran.err


def test_a_source_that_the_domain_names_and_is_not_there_is_named(
    domain: Path, tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    (domain / "raw").rename(domain / "row")

    ran = ta_data("prepare", domain, "--out", tmp_path / "out")

    assert (ran.code, ran.err) == (3, f"error: {domain / 'raw'}: no such file or folder\n")


def test_a_file_of_unknown_type_says_what_to_do(tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    (tmp_path / "a.bin").write_text("x")

    ran = ta_data("prepare", tmp_path / "a.bin", "--out", tmp_path / "out")

    assert (ran.code, "a.bin: no reader for this type of file: .md, .jsonl, .csv" in ran.err) == (3, True)


def test_when_nothing_is_left_the_first_reason_is_given(tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("{broken\n{broken\n")

    ran = ta_data("prepare", file, "--out", tmp_path / "out", "--on-error", "skip")

    assert ran.code == 3
    assert ran.err.startswith(f"error: {file}:1: ")
    assert ran.err.endswith("and none of the 2 rows could be kept\n")


@pytest.mark.parametrize("below", ["out", "deep/er/out"])
def test_an_output_below_a_file_is_refused(
    tmp_path: Path, chats: Path, ta_data: Callable[..., Any], below: str
) -> None:
    ran = ta_data("prepare", chats, "--out", chats / below)

    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert f"{chats} is a file, no folder can be made below it: name another --out" in ran.err


def test_an_output_that_is_a_file_is_refused(chats: Path, tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    (tmp_path / "out").write_text("mine")

    ran = ta_data("prepare", chats, "--out", tmp_path / "out")

    assert (ran.code, "is a file, expected a directory" in ran.err) == (3, True)
    assert (tmp_path / "out").read_text() == "mine"


def test_an_output_with_other_peoples_files_is_refused_even_with_force(
    chats: Path, tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")

    ran = ta_data("prepare", chats, "--out", tmp_path / "out", "--force")

    assert (ran.code, "holds files that are no artifact" in ran.err) == (4, True)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("content", ["{}", "not json"])
def test_a_bad_tokenizer_is_named(
    tmp_path: Path, chats: Path, ta_data: Callable[..., Any], content: str
) -> None:
    (tmp_path / "tokenizer.json").write_text(content)

    ran = ta_data("prepare", chats, "--out", tmp_path / "out", "--tokenizer", tmp_path)

    assert ran.code == 3
    assert f"{tmp_path / 'tokenizer.json'}: not a tokenizer of the tokenizers library" in ran.err
    assert not (tmp_path / "out").exists()
