"""Small artifacts and reports for the tests of the registry."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ta_schemas import Artifact, ArtifactWriter
from ta_schemas.manifest import Kind
from ta_schemas.reports import EvalReport, Interval, ItemSetReport, SystemScore


def make(
    out: Path,
    kind: Kind = "adapter",
    *,
    parents: Sequence[Artifact] = (),
    content: str = "",
    config: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
) -> Artifact:
    """A sealed artifact of one small file; its content is its path unless given."""
    with ArtifactWriter(
        out, kind=kind, producer="test 1", config=config, parents=[parent.as_parent for parent in parents]
    ) as writer:
        (writer.path / "content.txt").write_text(content or str(out))
        (writer.path / "logs").mkdir()
        (writer.path / "logs" / "note.txt").write_text("a note")
        writer.metrics |= metrics or {}
        writer.environment["base_model_path"] = "/somewhere/here"
    return Artifact.open(out)


def make_report(out: Path, systems: dict[str, Artifact], *, accuracy: dict[str, float]) -> Artifact:
    """Predictions of every system on two item sets beside `out`, and an eval-report over them at `out`."""
    names = list(systems)
    predictions = [
        make(out.parent / "predictions" / f"{name}-{items}", "predictions", parents=[systems[name]])
        for items in ("benchmark", "general")
        for name in names
    ]
    report = EvalReport(
        title="a report",
        item_sets=[
            ItemSetReport(
                name=items,
                systems=[
                    SystemScore(
                        name=name,
                        items=50,
                        scored=40,
                        accuracy=Interval(
                            estimate=accuracy[name],
                            low=accuracy[name] - 0.1,
                            high=accuracy[name] + 0.1,
                            method="x",
                        ),
                    )
                    for name in names
                ],
            )
            for items in ("benchmark", "general")
        ],
    )
    with ArtifactWriter(
        out,
        kind="eval-report",
        producer="test 1",
        config={"item_sets": {"benchmark": names, "general": names}},
        parents=[one.as_parent for one in predictions],
    ) as writer:
        (writer.path / "report.json").write_text(report.model_dump_json())
    return Artifact.open(out)
