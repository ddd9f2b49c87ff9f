from pathlib import Path

import pytest

from ta_eval.journal import Journal, journal_path, request_key
from ta_eval.target import Reply
from ta_schemas import SetupError

REPLY = Reply("größe\n`ls`", "stop", 3, 4)


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    file = tmp_path / "out.journal.jsonl"
    with Journal(file) as journal:
        journal.add({"a": REPLY})
        journal.add({"b": REPLY, "c": REPLY})
    with Journal(file) as journal:
        assert journal.replies == {"a": REPLY, "b": REPLY, "c": REPLY}


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_torn_last_line_is_cut_off_and_the_next_append_is_whole(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "j"
    with Journal(file) as journal:
        journal.add({"a": REPLY, "b": REPLY})
    file.write_bytes(file.read_bytes()[:-cut])
    with Journal(file) as journal:
        assert journal.replies == {"a": REPLY}
        journal.add({"c": REPLY})
    with Journal(file) as journal:
        assert journal.replies.keys() == {"a", "c"}


def test_a_line_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "j"
    with Journal(file) as journal:
        journal.add({"a": REPLY})
    file.write_bytes(b'\x00\xff\n{"key": "x"}\n[]\n7\n' + file.read_bytes())
    with Journal(file) as journal:
        assert journal.replies == {"a": REPLY}


def test_a_second_run_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "j"),
        pytest.raises(SetupError, match="another run writes here"),
        Journal(tmp_path / "j"),
    ):
        pass


def test_the_key_depends_on_everything_and_on_no_order() -> None:
    assert request_key(a=1, b={"c": 2, "d": 3}) == request_key(b={"d": 3, "c": 2}, a=1)
    assert request_key(a=1, b=2) != request_key(a=2, b=2)
    assert request_key(a="1") != request_key(a=1)


def test_the_journal_lies_beside_the_artifact(tmp_path: Path) -> None:
    assert journal_path(tmp_path / "runs" / "base") == tmp_path / "runs" / "base.journal.jsonl"
