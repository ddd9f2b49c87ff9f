"""BM25 over passages (Robertson and Zaragoza 2009, by the bm25s library)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ta_schemas import InputError
from ta_serve.export.needs import need
from ta_serve.retrieve.documents import Document, read_documents

WORD = r"(?u)(?<!\w)--?\w+|\w+"
"""Words of one character and options such as -a and --zstd count: they tell commands apart."""


class Hit(NamedTuple):
    """A passage and its score."""

    document: Document
    score: float


class Index:
    """Searches passages; made in memory, about 0.1 s a thousand."""

    def __init__(self, documents: Sequence[Document]) -> None:
        """Raises InputError for no documents, SetupError without `ta-serve[retrieve]`."""
        if not documents:
            raise InputError("nothing to search")
        self.documents = list(documents)
        self._library = need("bm25s", "retrieve")
        self._index = self._library.BM25()
        self._index.index(self._words([document.text for document in documents]), show_progress=False)

    @classmethod
    def open(cls, path: Path) -> "Index":
        """Over what `read_documents` finds at `path`."""
        return cls(read_documents(path))

    def search(self, query: str, *, count: int = 3) -> list[Hit]:
        """The best passages, best first; none that shares no word with the query."""
        words = self._library.tokenize(
            [query], stopwords=None, token_pattern=WORD, return_ids=False, show_progress=False
        )
        if not words[0]:
            return []
        found, scores = self._index.retrieve(words, k=min(count, len(self.documents)), show_progress=False)
        pairs = zip(found[0], scores[0], strict=True)
        return [Hit(self.documents[int(at)], float(score)) for at, score in pairs if score > 0]

    def _words(self, texts: list[str]) -> object:
        return self._library.tokenize(texts, stopwords=None, token_pattern=WORD, show_progress=False)
