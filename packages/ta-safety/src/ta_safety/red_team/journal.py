"""What a scan has done so far: a line an attempt, so that the same command goes on after a kill."""

import json
from pathlib import Path

from pydantic import BaseModel, Field

from ta_safety.red_team.styles import Style


class Attempt(BaseModel):
    """One attack, as it stands in the journal."""

    id: str
    scenario: str
    style: Style
    guarded: bool
    messages: list[dict[str, str]]
    output: str
    success: bool
    blocked_by: str = ""
    rails: list[str] = Field(default_factory=list, description="rails that acted, with their action")
    ms: float = Field(default=0.0, description="time of all rails")
    judged: str = Field(default="", description="a judge's second opinion: complied, refused or unclear")


class Journal:
    """`OUT.journal.jsonl`: finished attempts of this very scan. One of another scan is started over."""

    def __init__(self, out: Path, digest: str) -> None:
        self.path = out.with_name(f"{out.name}.journal.jsonl")
        self.digest = digest

    def read(self) -> dict[str, Attempt]:
        """What was finished before; a line that a kill cut short is left out."""
        found: dict[str, Attempt] = {}
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        if not lines or lines[0] != json.dumps({"scan": self.digest}):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps({"scan": self.digest}) + "\n", encoding="utf-8")
            return {}
        for line in lines[1:]:
            try:
                attempt = Attempt.model_validate_json(line)
            except ValueError:
                continue
            found[attempt.id] = attempt
        return found

    def add(self, attempt: Attempt) -> None:
        """Append one."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(attempt.model_dump_json() + "\n")

    def remove(self) -> None:
        """After the report is sealed."""
        self.path.unlink(missing_ok=True)
