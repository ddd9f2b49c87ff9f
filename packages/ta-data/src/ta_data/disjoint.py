"""Does a training conversation touch a held-out question? Four tests, each reported by its name.

Never long n-grams alone: of the 224 prompts of InterCode, which was made from NL2Bash, 13-grams find 30,
8-grams 114, a word Jaccard of 0.6 finds 177, and 38 share a command. So the union of four.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from ta_schemas.errors import InputError
from ta_schemas.jsonl import read_jsonl
from ta_schemas.rows import BenchmarkRow, ConversationRow

Contact = Literal["exact", "8-gram", "jaccard", "answer"]

GRAM_WORDS = 8
JACCARD = 0.7


class Touch(NamedTuple):
    """How a conversation touches a held-out item."""

    contact: Contact
    held_id: str


def normalised(text: str) -> str:
    """Lower case, words and numbers only, single spaces."""
    return " ".join(words(text))


def words(text: str) -> list[str]:
    """The words of a text, lower case, punctuation left out."""
    return re.findall(r"\w+", text.casefold())


def grams(text: str) -> set[tuple[str, ...]]:
    """Every run of eight words."""
    found = words(text)
    return {tuple(found[i : i + GRAM_WORDS]) for i in range(len(found) - GRAM_WORDS + 1)}


def jaccard(a: set[str], b: set[str]) -> float:
    """Shared words over all words; 0 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 0.0


def normalised_command(command: str) -> str:
    """A command with its white space evened out."""
    return " ".join(command.split())


def commands(answer: str) -> Iterator[str]:
    """The normalised content of each fenced block of an answer."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", answer, flags=re.MULTILINE | re.DOTALL):
        if normalised_command(block):
            yield normalised_command(block)


class Held:
    """The held-out items, indexed to be compared with many conversations; `digest` is of their file."""

    def __init__(self, items: Iterable[BenchmarkRow], *, digest: str | None = None) -> None:
        self.digest = digest
        self._exact: dict[str, str] = {}
        self._grams: dict[tuple[str, ...], str] = {}
        self._commands: dict[str, str] = {}
        self._words: list[tuple[str, set[str]]] = []
        self._with_word: dict[str, list[int]] = defaultdict(list)
        for item in items:
            question = "\n".join(m.content for m in item.messages if m.role == "user")
            self._exact.setdefault(normalised(question), item.id)
            for gram in grams(question):
                self._grams.setdefault(gram, item.id)
            if item.scorer.startswith("command"):
                for reference in item.references:
                    self._commands.setdefault(normalised_command(reference), item.id)
            found = set(words(question))
            for word in found:
                self._with_word[word].append(len(self._words))
            self._words.append((item.id, found))
        self._longest = max((len(found) for _, found in self._words), default=0)

    def touches(self, row: ConversationRow) -> Touch | None:
        """The first contact of the row with a held-out item, surest test first."""
        questions = [m.content for m in row.messages if m.role == "user"]
        answers = [m.content for m in row.messages if m.role == "assistant"]
        tests: tuple[tuple[Contact, Callable[[str], str | None], list[str]], ...] = (
            ("exact", lambda question: self._exact.get(normalised(question)), questions),
            ("8-gram", self._by_gram, questions),
            ("jaccard", self._by_jaccard, questions),
            ("answer", self._by_command, answers),
        )
        for contact, held_id, texts in tests:
            for text in texts:
                found = held_id(text)
                if found:
                    return Touch(contact, found)
        return None

    def _by_gram(self, question: str) -> str | None:
        return next((self._grams[gram] for gram in sorted(grams(question)) if gram in self._grams), None)

    def _by_jaccard(self, question: str) -> str | None:
        found = set(words(question))
        if len(found) * JACCARD > self._longest:  # more words than any item can have in common with it
            return None
        shared = Counter(i for word in found for i in self._with_word.get(word, ()))
        # A Jaccard of 0.7 needs 0.7 of the question's words in common: that leaves few to look at.
        for i, both in sorted(item for item in shared.items() if item[1] >= JACCARD * len(found)):
            held_id, its_words = self._words[i]
            if both / (len(found) + len(its_words) - both) >= JACCARD:
                return held_id
        return None

    def _by_command(self, answer: str) -> str | None:
        return next((self._commands[c] for c in commands(answer) if c in self._commands), None)


def load_held(root: Path, name: str) -> Held:
    """The benchmark of a domain; without one, nothing is held out."""
    if not name:
        return Held([])
    file = root / name
    if not file.is_file():
        raise InputError(f"{file}: no such file: it is the benchmark that {root / 'domain.yaml'} names")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Held(read_jsonl(file, BenchmarkRow), digest=f"sha256:{digest}")
