"""What the tests of the judge share: servers' answers, and files of answers and labels."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ta_eval.judge.prompts import pair_schema

Cli = Callable[..., Any]
Start = Callable[..., Any]
SCHEMA = pair_schema()


def shown(body: dict[str, Any]) -> dict[str, str]:
    """The texts that the judge was shown, by name."""
    text = body["messages"][1]["content"]
    return dict(re.findall(r"^([^\n:]+):\n<<\w+>>\n(.*?)\n<</\w+>>", text, re.DOTALL | re.MULTILINE))


def say(winner: str) -> str:
    return json.dumps({"reason": "because", "winner": winner})


def prefer(word: str) -> Callable[[dict[str, Any]], str]:
    """A judge without a bias: the answer that holds the word wins."""

    def answer(body: dict[str, Any]) -> str:
        texts = shown(body)
        first, second = word in texts["answer A"], word in texts["answer B"]
        return say("tie" if first == second else "A" if first else "B")

    return answer


def answer_files(folder: Path, count: int = 10) -> list[Path]:
    files = []
    for name in ("base", "tuned"):
        rows = [
            {"id": f"q{k}", "question": f"question {k}", "output": f"{name} says {k}"} for k in range(count)
        ]
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files.append(file)
    return files


def labels_file(folder: Path, labels: list[str]) -> Path:
    file = folder / "labels.jsonl"
    file.write_text(
        "".join(
            json.dumps({"item": f"q{k}", "rater": "ann", "label": label}) + "\n"
            for k, label in enumerate(labels)
        )
    )
    return file
