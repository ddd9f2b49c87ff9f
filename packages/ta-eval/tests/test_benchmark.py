import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_eval.benchmark import read_benchmark
from ta_schemas import InputError

Make = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


def test_a_good_benchmark_is_read_with_its_categories_and_digest(write_benchmark: Write) -> None:
    file = write_benchmark(4)
    benchmark = read_benchmark(file)
    assert benchmark.categories == {"files": 2, "text": 1, "users": 1}
    assert benchmark.raw == file.read_bytes()
    assert len(benchmark.digest) == 64


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.jsonl: no such file"):
        read_benchmark(tmp_path / "nothing.jsonl")


def test_an_empty_file_is_refused(write_benchmark: Write) -> None:
    with pytest.raises(InputError, match=r"benchmark\.jsonl: no items"):
        read_benchmark(write_benchmark([]))


def test_a_broken_line_is_named_by_its_number(tmp_path: Path, make_item: Make) -> None:
    file = tmp_path / "b.jsonl"
    file.write_text(json.dumps(make_item(1)) + '\n{"id": "x",\n')
    with pytest.raises(InputError, match=r"b\.jsonl:2: not valid JSON"):
        read_benchmark(file)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"id": "item-000"}, r":2: id: 'item-000' is on line 1 already"),
        ({"id": ""}, r":2: id: is empty"),
        ({"category": ""}, r":2: category: is empty"),
        ({"scorer": "rouge"}, r":2: .*rouge"),
        ({"messages": []}, r":2: messages: the last message must be the user's question"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, r":2: messages: the last message"),
        ({"references": []}, r":2: references: scorer 'exact' needs at least one"),
        ({"references": [" "]}, r":2: references: an empty one would match nothing"),
        ({"scorer": "command", "references": []}, r":2: references: scorer 'command' needs at least one"),
        ({"scorer": "command", "references": ["ls", "ls |"]}, r":2: references: .*bash.* 'ls \|'"),
        ({"scorer": "regex"}, r":2: pattern: scorer 'regex' needs one"),
        ({"scorer": "regex", "pattern": "(a"}, r":2: pattern: not a regular expression: missing \)"),
        ({"scorer": "multiple_choice", "choices": ["a"], "answer": "A"}, r":2: choices: expected 2 to 26"),
        ({"scorer": "multiple_choice", "choices": ["a", "a"], "answer": "A"}, r":2: choices: one stands"),
        (
            {"scorer": "multiple_choice", "choices": ["a", "b"], "answer": "C"},
            r":2: answer: 'C' is none of the letters A to B",
        ),
        ({"references": "0"}, r":2: .*array"),
    ],
)
def test_every_mistake_is_named_with_file_line_and_field(
    fields: dict[str, Any], told: str, write_benchmark: Write, make_item: Make
) -> None:
    with pytest.raises(InputError, match=r"benchmark\.jsonl" + told):
        read_benchmark(write_benchmark([make_item(0), make_item(1, **fields)]))
