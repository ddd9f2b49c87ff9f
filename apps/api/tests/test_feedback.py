"""Feedback becomes rows that ta-schemas reads."""

import threading

import pytest
from api_fixtures import http
from word_engine import WordEngine

from ta_schemas import read_jsonl
from ta_schemas.rows import FeedbackRow

TALK = [{"role": "user", "content": "Unpack a.tar"}, {"role": "assistant", "content": "unzip a.tar"}]


@pytest.fixture
def kept(start, tmp_path):
    """A server that keeps feedback: (URL, file)."""
    file = tmp_path / "new" / "feedback.jsonl"
    return start(WordEngine(), feedback=file)[0] + "/v1/feedback", file


def test_feedback_becomes_a_row(kept):
    url, file = kept
    body = {
        "messages": TALK,
        "rating": "down",
        "correction": "tar -xf a.tar ✓",
        "comment": "wrong tool",
        "model": "tiny:loud",
        "completion_id": "chatcmpl-1",
    }
    answer = http.post(url, json=body)
    assert answer.status_code == 200, answer.text
    (row,) = read_jsonl(file, FeedbackRow)
    assert answer.json() == {"id": row.id, "object": "feedback"}
    assert [(m.role, m.content) for m in row.messages] == [(m["role"], m["content"]) for m in TALK]
    assert (row.rating, row.correction, row.model) == ("down", "tar -xf a.tar ✓", "tiny:loud")
    assert row.extra == {"comment": "wrong tool", "completion_id": "chatcmpl-1"}
    assert row.created_at.endswith("+00:00")


def test_feedback_from_several_callers_at_once_is_kept_row_by_row(kept):
    url, file = kept
    body = {"messages": TALK, "rating": "up", "comment": "x" * 5000}
    threads = [threading.Thread(target=http.post, args=(url,), kwargs={"json": body}) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row.id for row in read_jsonl(file, FeedbackRow)}) == 12


WRONG = {
    "no answer": {"messages": TALK[:1] * 2, "rating": "up"},
    "one message": {"messages": TALK[1:], "rating": "up"},
    "another rating": {"messages": TALK, "rating": "5 stars"},
    "no rating": {"messages": TALK},
    "an unknown field": {"messages": TALK, "rating": "up", "stars": 5},
}


@pytest.mark.parametrize("name", WRONG)
def test_feedback_that_cannot_be_used_is_refused(kept, name):
    url, file = kept
    assert http.post(url, json=WRONG[name]).status_code == 400
    assert not file.exists()


def test_a_server_without_a_feedback_file_says_how_to_get_one(url):
    answer = http.post(url + "/v1/feedback", json={"messages": TALK, "rating": "up"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "feedback_off")
    assert "--feedback" in answer.json()["error"]["message"]


def test_feedback_that_cannot_be_written_is_503(start, tmp_path):
    (tmp_path / "file").write_text("")
    url, _ = start(WordEngine(), feedback=tmp_path / "file" / "feedback.jsonl")
    answer = http.post(url + "/v1/feedback", json={"messages": TALK, "rating": "up"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "feedback_not_kept")
    assert str(tmp_path) not in answer.text
