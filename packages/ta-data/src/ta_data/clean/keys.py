"""The key entities of a text: what makes two otherwise equal texts mean something else.

`ls -a` and `ls -A`, "symptoms of Asthma" and "symptoms of Measles", port 80 and port 8080: near-duplicates
by every measure of similarity, and different questions. Kept apart are texts that differ in code, numbers,
options, paths and identifiers, quoted strings, or names with a capital in the middle of a sentence.
"""

import re
from collections.abc import Mapping
from typing import Any

from ta_data.clean.parts import parts

CODE = re.compile(r"```[^\n]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
QUOTED = re.compile(r"[\"“]([^\"“”\n]{1,80})[\"”]|(?<!\w)'([^'\n]{1,80})'(?!\w)")
TOKEN = re.compile(
    r"(?<![\w-])--?[A-Za-z][\w-]*"  # options
    r"|[~.]?/[\w./*~-]+"  # paths
    r"|\w+(?:[._/:@-]\w+)*\d[\w.:/-]*|\d[\w.,:/%-]*"  # numbers, versions, addresses
    r"|\w+[._]\w+[\w.]*"  # file names, identifiers
)
NAME = re.compile(r"(?=[A-Z])(?<![.!?:\n]\s)(?<![.!?:\n])(?<!^)(?<=\s|\()[A-Z][\w'-]*", re.MULTILINE)
QUOTES = re.compile("[\"'“”]")
TELLING = re.compile(r"[\d/_]|-[A-Za-z]|\w\.\w")
"""Without any of these there is no token; most questions have none."""
PRONOUN = {"I", "I'm", "I'd", "I've", "I'll"}


def keys(text: str) -> frozenset[str]:
    """The key entities of a text, as they are written: case counts."""
    found: set[str] = set()
    rest = text
    if "`" in text:
        for fenced, inline in CODE.findall(text):
            found.update((fenced or inline).split())
        rest = CODE.sub(" ", text)
    if QUOTES.search(rest):
        found.update(a or b for a, b in QUOTED.findall(rest))
    if TELLING.search(rest):
        found.update(token.rstrip(".,:;") for token in TOKEN.findall(rest))
    found.update(name for name in NAME.findall(rest) if name not in PRONOUN)
    return frozenset(found)


def row_keys(
    row: Mapping[str, Any], fields: tuple[str, ...], *, texts: bool = True
) -> tuple[frozenset[str], ...]:
    """The key entities of prompt and answer (unless `texts` is false), and the values of the named fields."""
    named = tuple(frozenset([str(row.get(field, ""))]) for field in fields)
    return (*(keys(text) for text in parts(row) if texts), *named)
