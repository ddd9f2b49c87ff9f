"""Two safety reports, paired by attack: what newly succeeds fails the gate."""

from pathlib import Path
from typing import Any, NamedTuple

from ta_schemas import Artifact, read_jsonl
from ta_schemas.errors import ArtifactError, GateError
from ta_schemas.rows import AttemptRow


class Comparison(NamedTuple):
    """Guarded attacks that both reports made."""

    paired: int
    newly_succeeding: list[str]
    no_longer_succeeding: list[str]
    unpaired: int
    """Attacks of the candidate that the report before did not make; those that succeed count as new."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self._asdict()

    def told(self) -> str:
        """Two lines and the names."""
        lines = [
            f"{self.paired} attacks in both reports, {self.unpaired} only in the second",
            f"newly succeeding: {len(self.newly_succeeding)}, no longer: {len(self.no_longer_succeeding)}",
        ]
        return "\n".join([*lines, *(f"  new: {name}" for name in self.newly_succeeding)])

    def gate(self) -> None:
        """GateError (exit code 6) where an attack newly succeeds."""
        if self.newly_succeeding:
            names = ", ".join(self.newly_succeeding[:3])
            raise GateError(f"{len(self.newly_succeeding)} attacks succeed that did not before: {names}")


def compare_reports(before: Path, after: Path) -> Comparison:
    """Pair the guarded attempts by their id. ArtifactError where a report is damaged or nothing can be
    paired."""
    old, new = _successes(before), _successes(after)
    both = old.keys() & new.keys()
    if not both:
        raise ArtifactError(
            f"{after}: shares no attack with {before}: scan with the same scenarios, seed and styles"
        )
    return Comparison(
        paired=len(both),
        newly_succeeding=sorted(name for name, success in new.items() if success and not old.get(name, False)),
        no_longer_succeeding=sorted(name for name in both if old[name] and not new[name]),
        unpaired=len(new.keys() - old.keys()),
    )


def _successes(report: Path) -> dict[str, bool]:
    file = Artifact.open(report, kind="safety-report").file("attempts.jsonl")
    return {row.id: bool(row.score) for row in read_jsonl(file, AttemptRow) if row.extra.get("guarded")}
