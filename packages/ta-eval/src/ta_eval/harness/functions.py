"""What generated tasks call inside lm-eval."""

from pathlib import Path
from typing import Any

import msgspec

from ta_eval.item import Item
from ta_eval.scorers import score_answer
from ta_schemas.jsonl import read_objects, to_row


def load(file: Path) -> dict[str, Any]:
    """The rows of a task as lm-eval wants them: a `datasets.Dataset` for each split."""
    from datasets import Dataset

    return {"test": Dataset.from_list([row for _, row in read_objects(file)])}


def process_answer(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Our scorer's value; nothing where the answer could not be scored, which leaves it out of the mean."""
    value = score_answer(to_row(msgspec.json.decode(doc["row"]), Item), results[0]).value
    return {} if value is None else {"score": value}
