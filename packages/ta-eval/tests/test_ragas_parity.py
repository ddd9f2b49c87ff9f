"""Where RAGAS has the same metric, ours gives the same numbers; needs ta-eval[ragas]."""

import os
import warnings
from typing import Any

import pytest

from ta_eval.rag.grounding import supported_share
from ta_eval.rag.relevancy import relevancy
from ta_eval.rag.retrieval import average_precision, precision, recall_at

os.environ["RAGAS_DO_NOT_TRACK"] = "true"
# RAGAS leaves a file open at import.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)


@pytest.fixture(scope="module")
def ragas() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import ragas.metrics as metrics
        except ImportError as error:
            pytest.skip(f"ta-eval[ragas] is not installed: {error}")
    return metrics


def make(ragas: Any, name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(ragas, name)()


RETRIEVED, RELEVANT = ["a", "b", "c", "d"], ["b", "d", "x"]


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("IDBasedContextPrecision", precision(RETRIEVED, RELEVANT)),
        ("IDBasedContextRecall", recall_at(RETRIEVED, RELEVANT, 10)),
    ],
)
def test_metrics_by_id_are_those_of_ragas(name: str, ours: float, ragas: Any) -> None:
    from ragas.dataset_schema import SingleTurnSample

    sample = SingleTurnSample(retrieved_context_ids=RETRIEVED, reference_context_ids=RELEVANT)
    assert make(ragas, name).single_turn_score(sample) == pytest.approx(ours, abs=1e-6)


@pytest.mark.parametrize("verdicts", [[1, 0, 1, 0], [0, 0, 1], [1, 1], [0, 0]])
def test_context_precision_has_the_arithmetic_of_ragas(verdicts: list[int], ragas: Any) -> None:
    from ragas.metrics._context_precision import Verification

    said = [Verification(reason="", verdict=verdict) for verdict in verdicts]
    theirs = make(ragas, "LLMContextPrecisionWithReference")._calculate_average_precision(said)
    assert average_precision([verdict == 1 for verdict in verdicts]) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("verdicts", [[1, 0, 1, 1], [0], [1, 1]])
def test_faithfulness_has_the_arithmetic_of_ragas(verdicts: list[int], ragas: Any) -> None:
    from ragas.metrics._faithfulness import NLIStatementOutput, StatementFaithfulnessAnswer

    said = [StatementFaithfulnessAnswer(statement="s", reason="", verdict=verdict) for verdict in verdicts]
    theirs = make(ragas, "Faithfulness")._compute_score(NLIStatementOutput(statements=said))
    claims = [{"claim": "s", "supported": "yes" if verdict else "no"} for verdict in verdicts]
    assert supported_share({"claims": claims}) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("evasive", [[0, 0, 0], [1, 1, 1]])
def test_answer_relevancy_has_the_arithmetic_of_ragas(evasive: list[int], ragas: Any) -> None:
    from ragas.metrics._answer_relevance import ResponseRelevanceOutput

    vectors = {"real": [1.0, 2.0, 0.5], "q0": [1.0, 1.5, 0.0], "q1": [0.2, 2.0, 1.0], "q2": [3.0, 0.1, 0.4]}

    class Embedder:
        def embed_query(self, text: str) -> list[float]:
            return vectors[text]

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [vectors[text] for text in texts]

    metric = make(ragas, "ResponseRelevancy")
    metric.embeddings = Embedder()
    said = [ResponseRelevanceOutput(question=f"q{n}", noncommittal=flag) for n, flag in enumerate(evasive)]
    theirs = metric._calculate_score(said, {"user_input": "real"})
    ours = relevancy(vectors["real"], [vectors[f"q{n}"] for n in range(3)], evasive=bool(evasive[0]))
    assert ours == pytest.approx(theirs, abs=1e-6)
