"""Generated rows for the benchmarks: template answers, free text, mutated copies; seeded.

What makes near-duplicates hard on real data is in it: thousands of rows from one template that differ in a name
(Jaccard 0.5 to 0.95 to one another), short rows, and copies with a few words changed.
"""

import json
import random
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

SYLLABLES = [
    "ba",
    "be",
    "bi",
    "bo",
    "bu",
    "da",
    "de",
    "di",
    "do",
    "du",
    "fa",
    "fe",
    "ga",
    "ge",
    "go",
    "ka",
    "ke",
    "ki",
    "ko",
    "la",
    "le",
    "li",
    "lo",
    "ma",
    "me",
    "mi",
    "mo",
    "na",
    "ne",
    "no",
    "pa",
    "pe",
]


def write_corpus(file: Path, rows: int, *, seed: int = 0) -> None:
    """`rows` objects with `id`, `prompt`, `completion`; 42 % are mutated copies of earlier ones."""
    with file.open("w", encoding="utf-8") as stream:
        for number, (prompt, answer) in enumerate(_rows(rows, random.Random(seed))):
            stream.write(json.dumps({"id": f"r{number}", "prompt": prompt, "completion": answer}) + "\n")


def _rows(count: int, draw: random.Random) -> Iterator[tuple[str, str]]:
    words = sorted({"".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(30_000)})
    draw.shuffle(words)
    weights = list(accumulate(1 / (n + 5) for n in range(len(words))))
    templates = [draw.choices(words, cum_weights=weights, k=draw.randint(40, 160)) for _ in range(160)]
    made: list[tuple[str, str]] = []
    for _ in range(count):
        kind = draw.random()
        if made and kind < 0.42:
            prompt, answer = made[draw.randrange(len(made))]
            row = (_mutated(prompt, draw, words), _mutated(answer, draw, words))
        elif kind < 0.55:
            body = list(draw.choice(templates))
            name = " ".join(draw.choices(words, k=2)).title()
            for _ in range(draw.randint(1, 5)):
                body[draw.randrange(len(body))] = name
            row = (f"What is known about {name}?", f"{name} {' '.join(body)}.")
        else:
            size = min(400, max(3, int(draw.lognormvariate(3.6, 0.9))))
            text = " ".join(draw.choices(words, cum_weights=weights, k=size))
            row = (" ".join(draw.choices(words, cum_weights=weights, k=draw.randint(4, 14))) + "?", text + ".")
        made.append(row)
        yield row


def _mutated(text: str, draw: random.Random, words: list[str]) -> str:
    found = text.split()
    for _ in range(draw.choice((0, 0, 1, 1, 2, 4, 8))):
        at = draw.randrange(len(found))
        action = draw.random()
        if action < 0.5:
            found[at] = draw.choice(words)
        elif action < 0.75:
            found.insert(at, draw.choice(words))
        elif len(found) > 2:
            del found[at]
    return " ".join(found)
