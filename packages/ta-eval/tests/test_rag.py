import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ta_eval.rag.citations import citations_of, cited_ids
from ta_eval.rag.refusals import refusals
from ta_eval.rag.retrieval import average_precision, ndcg_at, precision, recall_at, reciprocal_rank
from ta_eval.rag.rows import Context, RagRow, read_rag_rows
from ta_schemas import InputError

Cli = Callable[..., Any]
Start = Callable[..., Any]


def row(id_: str = "q", answer: str = "", **fields: Any) -> RagRow:
    values: dict[str, Any] = {
        "question": "?",
        "contexts": [Context("a", "one"), Context("b", "two"), Context("c", "three")],
        "relevant": ["b"],
        "reference": "",
        "answerable": True,
        "confidence": None,
        "score": None,
    }
    return RagRow(id=id_, answer=answer, **(values | fields))


def test_retrieval_metrics_agree_with_values_worked_out_by_hand() -> None:
    found, wanted = ["a", "b", "c", "d"], ["b", "d", "x"]
    assert precision(found, wanted) == 0.5
    assert [recall_at(found, wanted, k) for k in (1, 2, 4)] == pytest.approx([0, 1 / 3, 2 / 3])
    assert reciprocal_rank(found, wanted) == 0.5
    gain, ideal = 1 / math.log2(3) + 1 / math.log2(5), 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg_at(found, wanted, 4) == pytest.approx(gain / ideal)
    assert average_precision([False, True, False, True]) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert (precision([], wanted), reciprocal_rank([], wanted), average_precision([])) == (0.0, 0.0, 0.0)


def test_ndcg_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    ranked, wanted = ["a", "b", "c", "d", "e"], ["b", "e"]
    gains = [[float(id_ in wanted) for id_ in ranked]]
    theirs = metrics.ndcg_score(gains, [[5, 4, 3, 2, 1]], k=3)
    assert ndcg_at(ranked, wanted, 3) == pytest.approx(theirs)


@given(
    st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8),
    st.sets(st.sampled_from("abcdefgh"), min_size=1),
)
def test_retrieval_metrics_are_shares_and_a_perfect_ranking_has_one(found: list[str], wanted: set[str]) -> None:
    relevant = sorted(wanted)
    for k in (1, 3, 10):
        assert 0 <= recall_at(found, relevant, k) <= 1
        assert 0 <= ndcg_at(found, relevant, k) <= 1 + 1e-9
    assert ndcg_at(relevant + found, relevant, 10) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("answer", "cited"),
    [
        ("Use it [2].", ["b"]),
        ("So [1][3] and [b].", ["a", "c", "b"]),
        ("Both [1, 2; c].", ["a", "b", "c"]),
        ("As in [9].", ["#9"]),
        ("Run `ls [OPTION]` and [FILE], see [a](http://x).", []),
        ("```\nx[1]=2\n```\n`a[1]` is code, [^1] is not.", ["a"]),
    ],
)
def test_citations_are_read_from_the_answer_and_not_from_code(answer: str, cited: list[str]) -> None:
    assert cited_ids(answer, ["a", "b", "c"]) == cited


def test_citations_are_valid_correct_and_complete() -> None:
    assert citations_of(row(answer="[1] [2] [7]", relevant=["b", "c", "x"])) == pytest.approx(
        (2 / 3, 1 / 3, 1 / 2)
    )
    assert citations_of(row(answer="nothing cited")) == (None, None, 0.0)
    assert citations_of(row(answer="[1]", relevant=[])) == (1.0, None, None)


def test_refusing_the_unanswerable_is_right_and_the_answerable_wrong() -> None:
    rows = [
        row("1", "That is not in the documents.", answerable=False, confidence=0.1),
        row("2", "It is 42.", answerable=False, confidence=0.2),
        row("3", "It is 7.", confidence=0.9, score=1.0),
        row("4", "NOT IN the documents", confidence=0.3, score=0.0),
    ]
    found = refusals(rows, "not in the documents")
    assert (found["refused_unanswerable"]["estimate"], found["refused_unanswerable"]["items"]) == (0.5, 2)
    assert found["refused_answerable"]["estimate"] == 0.5
    points = found["risk_coverage"]["points"]
    assert [(p["threshold"], p["coverage"], p["risk"]["estimate"]) for p in points] == [
        (0.9, 0.25, 0.0),
        (0.3, 0.5, 0.5),
        (0.2, 0.75, pytest.approx(2 / 3)),
        (0.1, 1.0, 0.5),
    ]
    assert "risk_coverage" not in refusals([row("1", "x")], "y")


def rag_file(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "rag.jsonl"
    file.write_text("".join(json.dumps(raw) + "\n" for raw in rows))
    return file


ROW = {"id": "q1", "question": "How to pack?", "answer": "Use tar [1]."}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"answer": None}, ":1: answer: expected a text"),
        ({"contexts": "x"}, ":1: contexts: expected a list"),
        ({"contexts": [1]}, r":1: contexts\[0\]: expected a text, or an object"),
        ({"relevant": "a"}, ":1: relevant: expected a list of context ids"),
        ({"answerable": "no"}, ":1: answerable: expected true or false"),
        ({"confidence": "high"}, ":1: confidence: expected a number"),
    ],
)
def test_a_wrong_row_is_told_with_line_and_field(wrong: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        read_rag_rows(rag_file(tmp_path, ROW | wrong))


def test_a_row_that_is_there_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=":2: id: 'q1' is there twice"):
        read_rag_rows(rag_file(tmp_path, ROW, ROW))


def judged_row(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"q{number}",
        "question": "How to pack?",
        "answer": "Use tar. It is fast.",
        "contexts": [{"id": "a", "text": "tar packs"}, {"id": "b", "text": "cats"}],
        "relevant": ["a"],
        "reference": "tar packs files",
        **fields,
    }


def grounding_judge(body: dict[str, Any]) -> str:
    """Half of the answer's claims hold, all of the reference's; the first context is useful."""
    task, text = body["messages"][0]["content"], body["messages"][1]["content"]
    if "useful" in task:
        return json.dumps({"contexts": [{"useful": "yes"}, {"useful": "no"}]})
    verdicts = ["yes", "no"] if "\n\nanswer:" in text else ["yes"]
    return json.dumps({"claims": [{"claim": "x", "supported": said} for said in verdicts]})


@pytest.fixture
def rag(cli: Cli, tmp_path: Path) -> Callable[..., Any]:
    def call(rows: list[dict[str, Any]], *more: object, server: Any = None) -> Any:
        judge = ["--judge-url", server.url, "--judge-model", "stub"] if server else []
        return cli("rag", rag_file(tmp_path, *rows), "--out", tmp_path / "rag", *judge, *more)

    return call


def test_without_a_judge_what_can_be_counted_is(rag: Callable[..., Any]) -> None:
    done = rag([judged_row(1), judged_row(2, relevant=["b"])], "--json")
    assert "no judge is set" in done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    assert (metrics["MRR"]["estimate"], metrics["recall@1"]["estimate"], metrics["recall@5"]["estimate"]) == (
        0.75,
        0.5,
        1.0,
    )
    assert "faithfulness" not in metrics


def test_a_judge_adds_faithfulness_and_context_precision_and_recall(
    rag: Callable[..., Any], judge_server: Start, tmp_path: Path
) -> None:
    server = judge_server(grounding_judge)
    found = json.loads(rag([judged_row(1), judged_row(2)], "--json", server=server).stdout)
    values = {
        name: found["metrics"][name]["estimate"]
        for name in ("faithfulness", "context recall", "context precision")
    }
    assert values == {"faithfulness": 0.5, "context recall": 1.0, "context precision": 1.0}
    assert (found["audit"]["judgments"], len(server.requests)) == (6, 6)
    rows = [json.loads(line) for line in (tmp_path / "rag" / "rows.jsonl").read_text().splitlines()]
    assert rows[0]["faithfulness"] == 0.5


def test_a_judge_that_counts_the_contexts_wrong_scores_nothing(
    rag: Callable[..., Any], judge_server: Start
) -> None:
    def one_too_few(body: dict[str, Any]) -> str:
        said = json.loads(grounding_judge(body))
        return json.dumps(
            {name: entries[:1] if name == "contexts" else entries for name, entries in said.items()}
        )

    found = json.loads(rag([judged_row(1)], "--json", server=judge_server(one_too_few)).stdout)
    assert "context precision" not in found["metrics"]


def test_an_answer_that_claims_nothing_is_not_counted(rag: Callable[..., Any], judge_server: Start) -> None:
    server = judge_server(
        lambda body: json.dumps({"claims": [], "contexts": [{"useful": "no"}, {"useful": "no"}]})
    )
    found = json.loads(rag([judged_row(1)], "--json", server=server).stdout)
    assert "faithfulness" not in found["metrics"]
    assert found["metrics"]["context precision"]["estimate"] == 0.0


def test_an_unreadable_judgment_is_counted_and_its_row_left_out(
    rag: Callable[..., Any], judge_server: Start
) -> None:
    server = judge_server(lambda body: '{"claims": ["tar"], "contexts": 3}')
    found = json.loads(rag([judged_row(1)], "--json", server=server).stdout)
    assert found["audit"]["unread"] == {"unreadable judgment": 3}


def test_cut_offs_and_refusal_are_options(rag: Callable[..., Any]) -> None:
    rows = [judged_row(1), judged_row(2, answerable=False, answer="I cannot know.", confidence=0.2)]
    found = json.loads(rag(rows, "--json", "--k", 2, "--refusal", "cannot know").stdout)
    assert {name for name in found["metrics"] if "@" in name} == {"recall@2", "nDCG@2"}
    assert found["refusals"]["refused_unanswerable"]["estimate"] == 1.0
    assert json.loads(rag(rows, "--json", "--force").stdout)["refusals"] == {}
    assert rag(rows, "--refusal", "(").returncode == 3


def test_the_table_names_every_metric(rag: Callable[..., Any], judge_server: Start) -> None:
    rows = [judged_row(n, confidence=0.5, score=1.0) for n in range(3)]
    text = rag(rows, "--refusal", "cannot", server=judge_server(grounding_judge)).stdout
    for told in (
        "faithfulness              0.500",
        "nDCG@5                    1.000",
        "refused, answerable",
        "area under",
    ):
        assert told in text


def test_a_budget_stops_the_judge(rag: Callable[..., Any], judge_server: Start) -> None:
    server = judge_server(grounding_judge)
    limits = ["--input-price", 1000, "--budget", 0.15, "--concurrency", 1]
    assert "budget used up" in rag([judged_row(n) for n in range(4)], *limits, server=server).stderr
    assert len(server.requests) == 2


def by_topic(text: str) -> list[float]:
    """Two dimensions: archives and weather."""
    return [float("archive" in text or "tar" in text), float("rain" in text)]


def relevancy_judge(*questions: str, evasive: str = "no") -> Callable[[dict[str, Any]], str]:
    written = json.dumps({"questions": [{"question": text} for text in questions], "evasive": evasive})

    def answer(body: dict[str, Any]) -> str:
        return written if "different questions" in body["messages"][0]["content"] else grounding_judge(body)

    return answer


@pytest.mark.parametrize(
    ("questions", "evasive", "value"),
    [
        (["How do I make a tar archive?", "tar?"], "no", 1.0),
        (["Will it rain?"], "no", 0.0),
        (["How do I make a tar archive?", "Will it rain?"], "no", 0.5),
        (["How do I make a tar archive?"], "yes", 0.0),
    ],
)
def test_relevancy_is_the_nearness_of_the_questions_that_the_answer_answers(
    rag: Callable[..., Any], judge_server: Start, questions: list[str], evasive: str, value: float
) -> None:
    server = judge_server(relevancy_judge(*questions, evasive=evasive), embed=by_topic)
    rows = [judged_row(1, question="How is an archive made?")]
    found = json.loads(rag(rows, "--json", "--embed-model", "e", server=server).stdout)
    assert found["metrics"]["answer relevancy"]["estimate"] == pytest.approx(value)
    asked = next(body for body in server.requests if "different questions" in str(body.get("messages")))
    assert "How is an archive made?" not in str(asked["messages"])
    assert next(body for body in server.requests if "input" in body)["model"] == "e"


def test_embeddings_may_come_from_another_server(rag: Callable[..., Any], judge_server: Start) -> None:
    judge = judge_server(relevancy_judge("tar?"))
    other = judge_server(lambda body: "", embed=by_topic)
    call = ["--json", "--embed-model", "e", "--embed-url", other.url]
    found = json.loads(rag([judged_row(1, question="tar")], *call, server=judge).stdout)
    assert found["metrics"]["answer relevancy"]["estimate"] == 1.0
    assert [list(body) for body in other.requests] == [["model", "input"]]


def test_relevancy_without_a_judge_or_without_embeddings_says_what_is_missing(
    rag: Callable[..., Any], judge_server: Start
) -> None:
    assert "needs --embed-model and a judge" in rag([judged_row(1)], "--embed-model", "e").stderr
    server = judge_server(lambda body: "" if "input" in body else relevancy_judge("tar?")(body))
    done = rag([judged_row(1)], "--embed-model", "e", "--attempts", 1, server=server)
    assert done.returncode == 5
    assert "embeddings: not embeddings" in done.stderr
    assert "answer relevancy" not in json.loads(rag([judged_row(1)], "--json", server=server).stdout)["metrics"]
