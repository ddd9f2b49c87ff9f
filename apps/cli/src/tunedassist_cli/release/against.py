"""A new model against the champion: paired, on the answers that both releases hold."""

from ta_schemas import Artifact
from ta_schemas.reports import Interval
from tunedassist_cli.pipeline import installed

ANSWERS = "reports/predictions/benchmark"
"""Where a release keeps the answers it was judged by, so that its successor can be compared with it."""
SCAN = "reports/safety"
"""Where it keeps its safety report."""


def against_champion(champion: Artifact, answers: Artifact) -> Interval | str:
    """The successor's gain over the champion with its interval, or why the two cannot be compared."""
    with installed("eval"):
        from ta_eval.config import CompareConfig
        from ta_eval.pairing import report_item_set
        from ta_eval.systems import read_artifact

    before = read_artifact(champion.path / ANSWERS)._replace(name="champion")
    after = read_artifact(answers.path)._replace(name="candidate")
    if before.config.get("benchmark", {}).get("sha256") != after.config.get("benchmark", {}).get("sha256"):
        return "the benchmark has changed since the champion answered it: measure and release that one again"
    if before.config.get("scorers") != after.config.get("scorers"):
        return "the scorers have changed since the champion was scored: release the champion again"
    return report_item_set("benchmark", [before, after], CompareConfig()).comparisons[0].difference
