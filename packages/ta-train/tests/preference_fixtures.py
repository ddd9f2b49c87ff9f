"""Preference rows and artifacts for the tests of ta-train."""

from pathlib import Path

from ta_schemas import ArtifactWriter, write_jsonl
from ta_schemas.rows import Message, PreferenceRow


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
