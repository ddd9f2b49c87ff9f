"""What is measured of ta-data, a function each, in a process of its own. Run by bench_data.py."""

import json
import sys
from pathlib import Path


def near(source: Path, out: Path) -> None:
    """Near-duplicates of rows as one text: the numbers of those that go."""
    from ta_data.clean.near import Texts

    texts = Texts(fields=1, threshold=0.8)
    with source.open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            texts.add([f"{row['prompt']}\n{row['completion']}"])
    out.write_text(json.dumps([found.row for found in texts.duplicates()]))


def jsonl(source: Path, out: Path) -> None:
    """Read, validate and write conversations."""
    from ta_schemas.jsonl import RowErrors, read_jsonl, write_jsonl
    from ta_schemas.rows import ConversationRow

    errors = RowErrors()
    count = write_jsonl(
        out.with_suffix(".copy"), read_jsonl(source, ConversationRow, on_error="skip", errors=errors)
    )
    out.write_text(json.dumps([count, errors.count]))


def pydantic(source: Path, out: Path) -> None:
    """The same with pydantic models."""
    from typing import Literal

    from pydantic import BaseModel, ConfigDict, ValidationError

    class Message(BaseModel):
        model_config = ConfigDict(extra="allow")
        role: Literal["system", "user", "assistant", "tool"]
        content: str

    class Conversation(BaseModel):
        model_config = ConfigDict(extra="allow")
        id: str
        messages: list[Message]
        group: str = ""
        task: str = ""
        source: str = ""

    count = bad = 0
    with source.open("rb") as stream, out.with_suffix(".copy").open("wb") as copy:
        for line in stream:
            try:
                row = Conversation.model_validate_json(line)
            except ValidationError:
                bad += 1
                continue
            copy.write(row.model_dump_json(exclude_defaults=True).encode() + b"\n")
            count += 1
    out.write_text(json.dumps([count, bad]))


def doctor(source: Path, out: Path) -> None:
    """The whole report on a dataset of short records."""
    from ta_data.doctor.config import DoctorConfig
    from ta_data.doctor.diagnose import diagnose

    out.write_text(json.dumps(diagnose(source, DoctorConfig()).rows))


def pii(source: Path, out: Path) -> None:
    """Personal data in every row, masked."""
    from ta_data.clean.pii import TYPES
    from ta_data.clean.scrub import scrub

    out.write_text(json.dumps(scrub(source, out.with_suffix(".copy"), types=frozenset(TYPES))["input"]))


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
