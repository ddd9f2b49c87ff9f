"""Where RAGAS has the same metric, ours gives the same numbers; needs ta-eval[ragas]."""

import os
import warnings
from typing import Any

import pytest

from ta_eval.rag.grounding import supported_share
from ta_eval.rag.retrieval import average_precision, precision, recall_at

os.environ["RAGAS_DO_NOT_TRACK"] = "true"


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
