"""Preference rows and artifacts for the tests of ta-train."""

import json
from pathlib import Path
from typing import Any

from ta_schemas import Artifact, ArtifactWriter, write_jsonl
from ta_schemas.rows import Message, PreferenceRow
from ta_train.preference.config import DpoConfig, PreferenceConfig


def preference(tool: str, phrasing: int) -> PreferenceRow:
    return PreferenceRow(
        id=f"{tool}-{phrasing}",
        prompt=[
            Message(role="system", content="Answer with a command."),
            Message(role="user", content=f"How do I use {tool}, asked for the {phrasing + 1}. time?"),
        ],
        chosen=[Message(role="assistant", content=f"Run it with a file.\n\n```bash\n{tool} file\n```")],
        rejected=[Message(role="assistant", content=f"It is hard to say, {tool} does a lot" + "." * phrasing)],
    )


def preference_rows() -> list[PreferenceRow]:
    return [
        preference(tool, phrasing) for tool in ("ls", "cp", "mv", "rm", "du", "df") for phrasing in range(3)
    ]


def seal_preferences(
    out: Path, all_rows: list[PreferenceRow], validation: list[PreferenceRow] | None = None
) -> Path:
    with ArtifactWriter(
        out, kind="preferences", producer="test 1", config={"system_prompt": "Mine."}
    ) as writer:
        write_jsonl(writer.path / "train.jsonl", all_rows)
        held_out = [preference("wc", 0), preference("wc", 2), preference("cat", 1)]
        write_jsonl(writer.path / "validation.jsonl", held_out if validation is None else validation)
    return out


def fixed(base_model: Path, method: type[PreferenceConfig] = DpoConfig, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "base_model": str(base_model),
        "learning_rate": 1e-2,
        "batch_size": 2,
        "max_steps": 6,
        "eval_points": 3,
        "eval_rows": 3,
        "save_every": 2,
        "dtype": "float32",
        "threads": 1,
    }
    return method(**{**values, **changes})


def lines(artifact: Artifact) -> list[dict[str, Any]]:
    text = (artifact.path / "logs" / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def steps(artifact: Artifact, key: str = "loss") -> list[float]:
    return [line[key] for line in lines(artifact) if "loss" in line]
