"""Write a benchmark as lm-eval tasks: answers by generation, choices by log-likelihood."""

import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from ta_eval.benchmark import Benchmark
from ta_eval.item import Item
from ta_eval.scorers.multiple_choice import letters_for
from ta_schemas import InputError
from ta_schemas.jsonl import to_object

FUNCTIONS = '''"""What the tasks beside this file call; needs ta-eval[lm-eval]."""

from pathlib import Path

from ta_eval.harness.functions import load, process_answer

HERE = Path(__file__).parent


def answer_rows(**_):
    return load(HERE / "answer.jsonl")


def choice_rows(**_):
    return load(HERE / "choice.jsonl")


process_results = process_answer
'''

ANSWER = """task: {name}
custom_dataset: !function functions.answer_rows
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{reference}}}}"
process_results: !function functions.process_results
generation_kwargs: {{until: [], do_sample: false, temperature: 0.0, max_gen_toks: {max_tokens}}}
metric_list:
  - {{metric: score, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""

CHOICE = """task: {name}_choice
custom_dataset: !function functions.choice_rows
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{letters}}}}"
doc_to_target: "{{{{right}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""


class Tasks(NamedTuple):
    """What was written: task names, items in each, and why items were left out."""

    answer: str
    choice: str
    """Empty where the benchmark has no multiple-choice items."""
    items: dict[str, int]
    left_out: dict[str, int]


def write_tasks(benchmark: Benchmark, folder: Path, *, max_tokens: int = 256) -> Tasks:
    """Write `<name>.yaml`, `<name>_choice.yaml`, their rows and functions to a new folder.

    lm-eval asks one user message with one system message for all, so items of several turns, or with a system
    message of their own, are left out and counted. InputError where the folder is in the way.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is there already: name another --out")
    name = "ta_" + "".join(char if char.isalnum() else "_" for char in benchmark.name.lower())
    left_out: Counter[str] = Counter()
    rows = []
    for row in benchmark.rows:
        if len(row.messages) == 1:
            rows.append(row)
        else:
            left_out["system message of its own" if row.messages[0].role == "system" else "several turns"] += 1
    choices = [row for row in rows if row.scorer == "multiple_choice"]
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "functions.py").write_text(FUNCTIONS, encoding="utf-8")
    files = {"answer": (rows, f"{name}.yaml", ANSWER), "choice": (choices, f"{name}_choice.yaml", CHOICE)}
    for kind, (items, file, template) in files.items():
        if items:
            (partial / f"{kind}.jsonl").write_bytes(b"".join(map(_line, items)))
            (partial / file).write_text(template.format(name=name, max_tokens=max_tokens), encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    partial.rename(folder)
    counts = {name: len(rows)} | ({f"{name}_choice": len(choices)} if choices else {})
    return Tasks(name, f"{name}_choice" if choices else "", counts, dict(left_out))


def _line(row: Item) -> bytes:
    """Plain columns for lm-eval, and the whole row as text: `datasets` wants one type a column."""
    letters = list(letters_for(row.choices))
    doc = {
        "id": row.id,
        "category": row.category,
        "question": row.messages[0].content,
        "reference": row.references[0] if row.references else row.answer or row.pattern,
        "letters": letters,
        "right": letters.index(row.answer.upper()) if row.answer else -1,
        "row": msgspec.json.encode(to_object(row)).decode(),
    }
    return msgspec.json.encode(doc) + b"\n"
