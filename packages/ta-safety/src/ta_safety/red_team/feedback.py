"""Attacks that succeeded on the bare assistant, as rows for the next training."""

from collections.abc import Iterator
from pathlib import Path

from ta_safety.policy import Domain
from ta_schemas import Artifact, ArtifactWriter, read_jsonl, write_jsonl
from ta_schemas.rows import AttemptRow, FeedbackRow, Message


def write_feedback(report: Path, domain: Domain, out: Path, *, replace: bool = False) -> Artifact:
    """A feedback artifact: the attack, the bad answer rated down, the domain's refusal as the correction."""
    source = Artifact.open(report, kind="safety-report")
    writer = ArtifactWriter(
        out,
        kind="feedback",
        producer="ta-safety 0.1.0",
        config={"refusal": domain.refusal},
        parents=[source.as_parent],
        replace=replace,
    )
    with writer:
        writer.metrics["rows"] = write_jsonl(
            writer.path / "feedback.jsonl", _rows(source.file("attempts.jsonl"), domain.refusal)
        )
    return Artifact.open(out)


def _rows(attempts: Path, refusal: str) -> Iterator[FeedbackRow]:
    for row in read_jsonl(attempts, AttemptRow):
        if row.score and not row.extra.get("guarded"):
            said = [Message(role=m.role, content=m.content) for m in row.messages]
            yield FeedbackRow(id=row.id, messages=said, rating="down", correction=refusal, model="")
