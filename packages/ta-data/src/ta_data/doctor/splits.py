"""What only shows between rows: duplicates, leaks from split to split, conflicting and repeated answers."""

import hashlib
from collections import Counter
from collections.abc import Callable

from ta_data.clean.keys import keys
from ta_data.clean.near import Texts
from ta_data.clean.parts import parts
from ta_data.disjoint import normalised
from ta_data.doctor.config import DoctorConfig
from ta_data.doctor.findings import Findings
from ta_data.pipe import Object
from ta_schemas.errors import SetupError

Get = Callable[[int], Object]
"""The row of a number."""


class Between:
    """Remembers hashes of what it has seen; a million rows cost about 300 MB."""

    def __init__(self, findings: Findings, config: DoctorConfig, *, split_by: str) -> None:
        self._findings, self._config, self._split_by = findings, config, split_by
        self._prompt_split: dict[bytes, str] = {}
        self._whole: set[bytes] = set()
        self._answers: dict[bytes, bytes] = {}
        self._answer_counts: Counter[bytes] = Counter()
        self._homes: dict[tuple[str, str], str] = {}
        self._ids: set[bytes] = set()
        self._places: list[tuple[str, str, str]] = []
        self._texts: Texts | None
        self.skipped = ""
        try:
            self._texts = Texts(fields=1, threshold=config.near)
        except SetupError as error:
            self._texts, self.skipped = None, str(error)

    def add(self, split: str, where: str, row: Object, prompt: str, answer: str) -> None:
        """Compare one row with all before it."""
        row_id = str(row.get("id") or where)
        add = self._findings.add
        said = _hash(answer)
        if row.get("id") is not None:
            key = _hash(row_id)
            if key in self._ids:
                add("duplicate-id", where, row_id, row_id)
            self._ids.add(key)
        if prompt:
            # `ls -a` and `ls -A` are the same once normalised, so the keys count too.
            asked = _hash(f"{normalised(prompt)}\0{sorted(keys(prompt))}")
            home = self._prompt_split.setdefault(asked, split)
            if home != split:
                add("duplicate-across-splits", where, row_id, f"also in {home}: {prompt[:80]}")
            if self._answers.setdefault(_hash(prompt), said) != said:
                add("several-answers", where, row_id, prompt[:80])
        whole = _hash(f"{split}\0{prompt}\0{answer}")
        if whole in self._whole:
            add("duplicate", where, row_id, prompt[:80] or answer[:80])
        self._whole.add(whole)
        self._answer_counts[said] += 1
        if self._answer_counts[said] == self._config.repeats + 1:
            add("repeated-answer", where, row_id, answer[:80])
        elif self._answer_counts[said] > self._config.repeats:
            self._findings.counts["repeated-answer"] += 1
        for kind in ("task", "group") if self._split_by != "task" else ("task",):
            name = row.get(kind)
            if isinstance(name, str) and name and self._homes.setdefault((kind, name), split) != split:
                add(
                    f"{kind}-across-splits",
                    where,
                    row_id,
                    f"{kind} {name!r} is in {self._homes[kind, name]} too",
                )
        if self._texts is not None:
            self._texts.add([prompt or answer])
            self._places.append((split, where, row_id))

    def finish(self, get: Get) -> None:
        """Near-duplicates between train and what is held out; `get` gives the row of a number."""
        if self._texts is None or len({split for split, _, _ in self._places}) < 2:
            return

        def crossing(i: int, j: int) -> bool:
            return self._places[i][0] != self._places[j][0]

        def same_question(i: int, j: int) -> bool:
            a, b = parts(get(i)).prompt, parts(get(j)).prompt
            # What is equal once normalised was found already.
            return keys(a) == keys(b) and normalised(a) != normalised(b)

        for near in self._texts.resembling(crossing, same_question):
            _, where, row_id = self._places[near.row]
            home, there, _ = self._places[near.of]
            what = f"{near.similarity[0]:.2f} with {there} in {home}"
            self._findings.add("near-duplicate-across-splits", where, row_id, what)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
