"""From a thumb in the demo or the API to the next adapter, compared with the last champion: real stages."""

import csv
import json
from pathlib import Path

import pytest

from ta_schemas import Artifact, read_jsonl
from ta_schemas.rows import ConversationRow, FeedbackRow

QUESTION, WRONG, RIGHT = "Show the lambda please", "Use dog lambda.txt", "Use cat lambda.txt"


def given_in_the_demo(file):
    """A correction, a thumb up, and a thumb down that says nothing else."""
    from tunedassist_gradio_demo.feedback import keep_feedback
    from tunedassist_gradio_demo.talk.turn import Turn

    said = [
        (QUESTION, WRONG, "down", RIGHT),
        ("Show the omega please", "Use cat omega.txt", "up", ""),
        ("Show the sigma please", "No idea", "down", ""),
    ]
    for question, answer, rating, correction in said:
        turn = Turn(question, model="tiny", state="done", answer=answer)
        keep_feedback(file, [turn], rating, system_prompt="", correction=correction)


def given_to_the_api(file):
    """The same over HTTP."""
    client = pytest.importorskip("fastapi.testclient", reason="httpx is not installed")
    from tunedassist_api.app import create_app
    from tunedassist_api.config import Config
    from tunedassist_api.keys import KeyRing
    from tunedassist_api.service import Service

    said = [
        {"answer": WRONG, "question": QUESTION, "rating": "down", "correction": RIGHT},
        {"answer": "Use cat omega.txt", "question": "Show the omega please", "rating": "up"},
        {"answer": "No idea", "question": "Show the sigma please", "rating": "down"},
    ]
    service = Service(Config(name="tiny", feedback=file), KeyRing(None, ""))
    server = client.TestClient(create_app(service), base_url="http://127.0.0.1")
    for one in said:
        talk = [
            {"role": "user", "content": one.pop("question")},
            {"role": "assistant", "content": one.pop("answer")},
        ]
        done = server.post("/v1/feedback", json={"messages": talk, **one})
        assert done.status_code == 200, done.text


@pytest.mark.parametrize("give", [given_in_the_demo, given_to_the_api])
def test_feedback_waits_for_a_review_and_says_what_it_left_out(give, finished, tmp_path, tunedassist):
    events, review = tmp_path / "feedback.jsonl", tmp_path / "review.csv"
    give(events)
    assert len(list(read_jsonl(events, FeedbackRow))) == 3
    code, printed, told = tunedassist(
        *("data", "feedback", events, "--dataset", finished[1] / "dataset", "--review", review)
    )
    assert code == 0, told
    result = json.loads(printed)
    assert result["to_review"] == 2
    assert result["left_out"] == {"thumb down without a correction": 1}


def test_feedback_becomes_the_next_adapter_and_is_held_against_the_champion(
    finished, recipe, tmp_path, tunedassist, monkeypatch
):
    domain, first = finished
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code, printed, told = tunedassist(*arguments)
        assert code == 0, told
        return printed

    registry = ("--registry", "registry.sqlite", "--json")
    run("registry", "add", first / "adapter", "--name", "first", "--alias", "champion", *registry)

    given_in_the_demo(Path("feedback.jsonl"))
    feedback = ("data", "feedback", "feedback.jsonl", "--dataset", first / "dataset", "--review", "review.csv")
    run(*feedback, "--against", domain / "benchmark.jsonl")
    with Path("review.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["decision"] = "accept" if row["why"] == "correction" else "reject"
    with Path("review.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    run(*feedback, "--against", domain / "benchmark.jsonl", "--out", "dataset-2")

    taught = [
        row
        for row in read_jsonl(Path("dataset-2/train.jsonl"), ConversationRow)
        if row.source.startswith("feedback:")
    ]
    assert [(row.messages[-2].content, row.messages[-1].content) for row in taught] == [(QUESTION, RIGHT)]
    dataset = Artifact.open(Path("dataset-2"), kind="dataset")
    assert [p.digest for p in dataset.manifest.parents] == [Artifact.open(first / "dataset").digest]

    run("train", "sft", "dataset-2", "--recipe", recipe, "--out", "adapter-2")
    adapter = Artifact.open(Path("adapter-2"), kind="adapter")
    assert dataset.digest in [parent.digest for parent in adapter.manifest.parents]

    run("serve", "generate", "adapter-2", "--in", domain / "benchmark.jsonl", "--out", "answers.jsonl")
    run("eval", "score", "answers.jsonl", domain / "benchmark.jsonl", "--name", "second", "--out", "second")
    champion = json.loads(run("registry", "show", "champion", *registry))
    answers = first / "predictions" / "tuned-benchmark"
    asked = Artifact.open(answers).manifest.parents
    assert [parent.digest for parent in asked] == [champion["digest"]], "other answers than the champion's"
    run("eval", "compare", answers, "second", "--out", "report")
    (items,) = json.loads(Path("report/report.json").read_text())["item_sets"]
    (comparison,) = items["comparisons"]
    assert (comparison["baseline"], comparison["candidate"]) == ("tuned", "second")
    assert comparison["items"] == 6

    run("registry", "add", "adapter-2", "--name", "second", "--alias", "champion", *registry)
    assert json.loads(run("registry", "show", "champion", *registry))["name"] == "second"
    shown = run("lineage", "adapter-2", "--within", ".", "--json")
    assert ("dataset", "as sealed") in {(node["kind"], node["state"]) for node in json.loads(shown)["nodes"]}
