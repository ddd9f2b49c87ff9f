"""The row checks."""

import pytest

from ta_data.checks import Checker, Record
from ta_schemas.rows import ConversationRow, Message


def record(*turns: tuple[str, str], row_id: str = "r") -> Record:
    messages = [Message(role=role, content=content) for role, content in turns]  # type: ignore[arg-type]
    return Record(f"x.jsonl:{row_id}", ConversationRow(id=row_id, messages=messages))


U, A, S = ("user", "Hi?"), ("assistant", "Yes."), ("system", "Be brief.")


@pytest.mark.parametrize("turns", [(U, A), (S, U, A), (U, A, ("user", "More?"), ("assistant", "No."))])
def test_a_sound_conversation_is_kept(turns: tuple[tuple[str, str], ...]) -> None:
    assert Checker().fault(record(*turns)) is None


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ((("tool", "x"), U, A), "wrong role"),
        ((U, S, A), "wrong role"),
        ((A, U, A), "not starting with user"),
        ((S, A), "not starting with user"),
        ((S,), "not starting with user"),
        ((), "not starting with user"),
        ((U, ("user", "Again?"), A), "two users in a row"),
        ((U, A, ("assistant", "And.")), "two answers in a row"),
        ((U, ("assistant", " \n")), "empty answer"),
        ((("user", ""), A), "empty message"),
        ((U,), "last turn not assistant"),
        ((U, A, U), "last turn not assistant"),
    ],
)
def test_a_faulty_conversation_is_dropped_with_its_reason(
    turns: tuple[tuple[str, str], ...], reason: str
) -> None:
    bad = Checker().fault(record(*turns))

    assert bad is not None
    assert (bad.reason, bad.where, bad.id) == (reason, "x.jsonl:r", "r")


def test_duplicates_name_the_place_of_the_first() -> None:
    checker = Checker()
    assert checker.fault(record(U, A, row_id="1")) is None

    same_id = checker.fault(record(U, ("assistant", "Other."), row_id="1"))
    same_text = checker.fault(record(U, ("assistant", "Yes. "), row_id="2"))

    assert same_id is not None
    assert (same_id.reason, same_id.detail) == ("duplicate id", "id '1' is used already at x.jsonl:1")
    assert same_text is not None
    assert same_text.reason == "duplicate conversation"
    assert same_text.detail.endswith("stands at x.jsonl:1")


def test_a_dropped_row_does_not_make_the_next_a_duplicate() -> None:
    checker = Checker()
    checker.fault(record(U, row_id="1"))

    assert checker.fault(record(U, A, row_id="1")) is None
