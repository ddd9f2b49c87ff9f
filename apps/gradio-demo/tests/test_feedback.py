"""Thumbs, corrections and comments: rows that `ta-data feedback` turns into the next dataset."""

import csv
import json
import subprocess
import sys

import pytest
from small_run import SYSTEM

from ta_schemas import InputError, read_jsonl
from ta_schemas.rows import FeedbackRow
from tunedassist_gradio_demo.feedback import keep_feedback
from tunedassist_gradio_demo.tabs.chat import rate
from tunedassist_gradio_demo.talk.turn import Turn

ANSWERED = Turn("How do I see hidden files?", "tuned", "done", answer="Use `dir`.")


def data(*arguments):
    program = "from ta_data.cli import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_correction_becomes_a_training_row_by_ta_data_feedback(run, tmp_path):
    events, review = tmp_path / "events.jsonl", tmp_path / "review.csv"
    keep_feedback(
        events, [ANSWERED], "down", system_prompt=SYSTEM, correction="Use `ls -a`.", comment="no dir here"
    )
    command = ("feedback", events, "--dataset", run / "dataset", "--review", review)
    assert data(*command)["to_review"] == 1
    with review.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["answer"] == "Use `ls -a`."
    rows[0]["decision"] = "accept"
    with review.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    data(*command, "--out", tmp_path / "dataset-2")
    trained = [json.loads(line) for line in (tmp_path / "dataset-2" / "train.jsonl").read_text().splitlines()]
    assert [m["content"] for m in trained[-1]["messages"]] == [SYSTEM, ANSWERED.question, "Use `ls -a`."]


def test_the_row_holds_the_conversation_the_model_and_the_comment(tmp_path):
    before = Turn("Hi?", "tuned", "done", answer="Hello.")
    keep_feedback(tmp_path / "f.jsonl", [before, ANSWERED], "up", system_prompt="", comment="nice")
    (row,) = read_jsonl(tmp_path / "f.jsonl", FeedbackRow)
    assert [m.content for m in row.messages] == ["Hi?", "Hello.", ANSWERED.question, ANSWERED.answer]
    assert (row.rating, row.model, row.extra["comment"], row.correction) == ("up", "tuned", "nice", "")


def test_feedback_on_a_refusal_names_the_rail(tmp_path):
    refused = Turn("How do I wipe it?", "tuned", "blocked", answer="No.", blocked_by="shell")
    keep_feedback(tmp_path / "f.jsonl", [refused], "down", system_prompt="")
    (row,) = read_jsonl(tmp_path / "f.jsonl", FeedbackRow)
    assert row.extra["blocked_by"] == "shell"


@pytest.mark.parametrize("turns", [[], [Turn("hi", state="asked")], [Turn("hi", state="failed", note="gone")]])
def test_there_is_no_feedback_without_an_answer(turns, tmp_path):
    with pytest.raises(InputError, match="no whole answer"):
        keep_feedback(tmp_path / "f.jsonl", turns, "up", system_prompt="")
    assert not (tmp_path / "f.jsonl").exists()


def test_rows_are_appended(tmp_path):
    for rating in ("up", "down"):
        keep_feedback(tmp_path / "deep" / "f.jsonl", [ANSWERED], rating, system_prompt="")
    assert [row.rating for row in read_jsonl(tmp_path / "deep" / "f.jsonl", FeedbackRow)] == ["up", "down"]


def test_a_thumb_empties_the_boxes_and_says_what_comes_next(demo):
    said, correction, comment = rate(demo, (ANSWERED,), "down", "Use `ls -a`.", "why")
    assert (correction, comment) == ("", "")
    assert "a correction" in said
    assert f"tunedassist data feedback {demo.feedback}" in said


def test_what_was_typed_stays_where_it_could_not_be_kept(demo):
    said, correction, comment = rate(demo, (), "down", "Use `ls -a`.", "why")
    assert (correction, comment) == ("Use `ls -a`.", "why")
    assert "no whole answer" in said
