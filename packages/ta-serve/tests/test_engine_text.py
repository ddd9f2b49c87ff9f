from hypothesis import given
from hypothesis import strategies as st

from ta_serve.engines.llama_cpp.text import AnswerText

STOPS = st.lists(st.text(alphabet="ab€", min_size=1, max_size=4), max_size=3)


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def said(pieces, stop):
    """The parts of the answer, until a stop string has come."""
    text, parts = AnswerText(stop), []
    for piece in pieces:
        parts.append(text.add(piece))
        if text.stopped:
            return parts
    return [*parts, text.end()]


@given(st.text(alphabet="ab€", max_size=40), STOPS, st.integers(1, 5))
def test_the_parts_are_the_text_up_to_the_first_stop_string(answer, stop, size):
    found = [at for at in (answer.find(s) for s in stop) if at >= 0]
    parts = said(cut(answer.encode(), size), stop)
    whole = "".join(parts)
    if not found:
        assert whole == answer
    else:  # several stop strings in one piece: the leftmost of those that have come whole
        assert answer.startswith(whole)
        assert not any(s in whole for s in stop)


@given(st.text(max_size=30), st.integers(1, 5))
def test_every_part_is_whole_characters(answer, size):
    parts = said(cut(answer.encode("utf-8", "replace"), size), [])
    assert "".join(parts) == answer.encode("utf-8", "replace").decode()


def test_what_may_become_a_stop_string_is_held_back_until_it_cannot():
    text = AnswerText(["stop!"])
    assert [text.add(piece) for piece in (b"a st", b"op", b" it s", b"top!")] == ["a ", "", "stop it ", ""]
    assert text.stopped


def test_bytes_that_never_become_a_character_are_replaced_at_the_end():
    text = AnswerText([])
    assert text.add("€".encode()[:2]) == ""
    assert text.end() == "\ufffd"
