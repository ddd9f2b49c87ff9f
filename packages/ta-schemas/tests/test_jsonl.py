import json
import tracemalloc
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ta_schemas import InputError, RowErrors, read_jsonl, write_jsonl
from ta_schemas.jsonl import read_objects, to_object, to_row
from ta_schemas.rows import ROW_TYPES, ConversationRow, Message, PreferenceRow

GOOD = '{"id": "a", "messages": [{"role": "user", "content": "hi"}]}\n'
text = st.text(max_size=20)
messages = st.lists(st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=text), max_size=3)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@settings(deadline=None)
@given(st.lists(st.builds(ConversationRow, id=text, messages=messages, group=text), max_size=5))
def test_written_then_read_is_identity(rows: list[ConversationRow]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        assert write_jsonl(path, rows) == len(rows)
        assert list(read_jsonl(path, ConversationRow)) == rows


def test_unknown_fields_are_kept_in_rows_and_messages() -> None:
    raw = {
        "id": "a",
        "prompt": [{"role": "user", "content": "x", "name": "ann"}],
        "chosen": [{"role": "assistant", "content": "y"}],
        "rejected": [{"role": "assistant", "content": "z"}],
        "votes": 3,
    }
    assert to_object(to_row(raw, PreferenceRow)) == raw


unknown = st.dictionaries(st.sampled_from(["x", "extra", "name", "kind"]), st.integers() | text, max_size=2)


@settings(deadline=None)
@given(unknown, unknown, st.sampled_from(["user", "boss"]))
def test_the_quick_way_and_the_explaining_way_agree(
    more: dict[str, object], inner: dict[str, object], role: str
) -> None:
    import tempfile

    raw = {"id": "a", "messages": [{"role": role, "content": "x", **inner}], **more}
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "rows.jsonl", json.dumps(raw))
        errors = RowErrors()
        read = list(read_jsonl(path, ConversationRow, on_error="skip", errors=errors))
    try:
        assert read == [to_row(raw, ConversationRow)]
        if not {"extra", "kind"} & {*more, *inner}:
            assert to_object(read[0]) == raw
    except msgspec.ValidationError:
        assert (read, errors.count) == ([], 1)


def test_a_row_that_is_nested_too_deep_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", '{"id": "a", "x": ' + "[" * 100_000)
    with pytest.raises(InputError, match=r"rows\.jsonl:1: not valid JSON"):
        list(read_jsonl(path, ConversationRow))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a"}', "2: messages: required field is missing"),
        ('{"id": 3, "messages": []}', "2: id: expected `str`, got `int`"),
        ('{"id": "a", "messages": [{"role": "boss", "content": "x"}]}', r"2: messages\[.*role: invalid enum"),
        ('{"id": "a", "messages": [{"role": "user"}]}', r"2: messages\[.*content: required field is missing"),
        (
            '{"id": "a", "messages": [{"role": "user", "x": 1}]}',
            r"2: messages\[.*content: required field is missing",
        ),
        ('{"id": "a", "x": 1}', "2: messages: required field is missing"),
        ('{"id": "a", ', "2: not valid JSON"),
        ("[1]", "2: row: expected `object`, got `array`"),
    ],
)
def test_an_error_names_file_line_and_field(line: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", GOOD + line + "\n")
    with pytest.raises(InputError, match=rf"rows\.jsonl:{message}"):
        list(read_jsonl(path, ConversationRow))


def test_skip_counts_every_reason_and_keeps_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", GOOD + "{broken\n" + '{"id": "a"}\n' + GOOD + '{"id": "b"}\n')
    errors = RowErrors()
    assert len(list(read_jsonl(path, ConversationRow, on_error="skip", errors=errors))) == 2
    assert errors.count == 3
    assert errors.reasons == {"not valid JSON": 1, "messages: required field is missing": 2}
    assert errors.examples[0].startswith(f"{path}:2:")


def test_skip_without_a_counter_is_a_programming_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="RowErrors"):
        list(read_jsonl(tmp_path / "x", ConversationRow, on_error="skip"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_refused_with_the_command_that_converts_it(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", GOOD.encode(encoding))
    with pytest.raises(InputError, match="UTF-16 text: convert it first"):
        list(read_jsonl(path, ConversationRow))


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", b"\xef\xbb\xbf" + GOOD.encode())
    assert len(list(read_jsonl(path, ConversationRow))) == 1


def test_other_encodings_are_refused_at_their_line(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", GOOD.encode() + GOOD.replace("hi", "grüezi").encode("latin-1"))
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not (UTF-8|valid JSON)"):
        list(read_jsonl(path, ConversationRow))


def test_a_line_of_50_mb_is_refused_without_reading_it_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"id": "')
        for _ in range(50):
            file.write(b"x" * 2**20)
        file.write(b'"}\n' + GOOD.encode())
    tracemalloc.start()
    errors = RowErrors()
    rows = list(read_jsonl(path, ConversationRow, on_error="skip", errors=errors))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(rows) == 1
    assert errors.reasons == {"line is longer than 16 MiB": 1}
    assert peak < 60 * 2**20
    with pytest.raises(InputError, match=r"rows\.jsonl:1: line is longer than 16 MiB: split it"):
        list(read_jsonl(path, ConversationRow))


def test_the_line_limit_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", GOOD)
    with pytest.raises(InputError, match="longer than"):
        list(read_jsonl(path, ConversationRow, max_line_bytes=10))


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_objects(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="is a directory"):
        list(read_objects(tmp_path))


def test_a_failing_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", "old\n")

    def rows():  # type: ignore[no-untyped-def]
        yield ConversationRow(id="a", messages=[])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jsonl(path, rows())
    assert path.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_blank_lines_are_passed_over_and_lines_still_count(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", GOOD + "\n  \n{\n")
    with pytest.raises(InputError, match=":4:"):
        list(read_jsonl(path, ConversationRow))


def test_every_row_type_has_a_docstring() -> None:
    assert all(row_type.__doc__ for row_type in ROW_TYPES)
