"""What only shows between rows: duplicates, leaks from split to split, conflicting and repeated answers."""

from array import array
from collections.abc import Callable

from ta_data.clean.keys import keys
from ta_data.clean.near import Texts
from ta_data.clean.parts import Parts, parts
from ta_data.disjoint import normalised
from ta_data.doctor.config import DoctorConfig
from ta_data.doctor.findings import EXAMPLES, Findings
from ta_data.groups import digest, groups
from ta_data.pipe import Object, Placed, Rows
from ta_schemas.errors import SetupError


class Between:
    """Remembers hashes of what it has seen, 40 bytes a row, and what near-duplicates are found with."""

    def __init__(self, findings: Findings, config: DoctorConfig, *, split_by: str) -> None:
        self._findings, self._config, self._split_by = findings, config, split_by
        self._splits: list[str] = []
        self._split = array("i")
        self._ids, self._questions, self._prompts = array("Q"), array("Q"), array("Q")
        self._answers, self._rows = array("Q"), array("Q")
        self._homes: dict[tuple[str, str], str] = {}
        self._texts: Texts | None
        self.skipped = ""
        try:
            self._texts = Texts(fields=1, threshold=config.near)
        except SetupError as error:
            self._texts, self.skipped = None, str(error)

    def add(self, split: str, where: str, row: Object, prompt: str, answer: str) -> None:
        """Take one row."""
        if split not in self._splits:
            self._splits.append(split)
        self._split.append(self._splits.index(split))
        self._ids.append(digest(str(row["id"])) if row.get("id") is not None else 0)
        # `ls -a` and `ls -A` are the same once normalised, so the keys count too.
        asked = digest(f"{normalised(prompt)}\0{sorted(keys(prompt))}") if prompt else 0
        self._questions.append(asked)
        self._prompts.append(digest(prompt) if prompt else 0)
        self._answers.append(digest(answer))
        self._rows.append(digest(f"{split}\0{prompt}\0{answer}"))
        # Where rows were not split by group, a group is meant to be in every split.
        for kind in ("task", "group") if self._split_by in ("group", "") else ("task",):
            name = row.get(kind)
            if isinstance(name, str) and name and self._homes.setdefault((kind, name), split) != split:
                what = f"{kind} {name!r} is in {self._homes[kind, name]} too"
                self._findings.add(f"{kind}-across-splits", where, str(row.get("id") or where), what)
        if self._texts is not None:
            self._texts.add([prompt or answer])

    def finish(self, rows: Rows) -> None:
        """Compare them; `rows` are the ones that were added, in order."""

        def said(i: int) -> Parts:
            return parts(rows[i].row)

        later = [i for same in groups(self._ids) for i in same[1:]]
        self._tell("duplicate-id", later, rows, lambda i: str(rows[i].row["id"]))
        home: dict[int, int] = {}
        for same in groups(self._questions):
            home |= {i: same[0] for i in same[1:] if self._split[i] != self._split[same[0]]}
        self._tell(
            "duplicate-across-splits",
            list(home),
            rows,
            lambda i: f"also in {self._splits[self._split[home[i]]]}: {said(i).prompt[:80]}",
        )
        conflicting = [
            i for same in groups(self._prompts) for i in same if self._answers[i] != self._answers[same[0]]
        ]
        self._tell("several-answers", conflicting, rows, lambda i: said(i).prompt[:80])
        again = [i for same in groups(self._rows) for i in same[1:]]
        self._tell("duplicate", again, rows, lambda i: said(i).prompt[:80] or said(i).answer[:80])
        many = [same[self._config.repeats :] for same in groups(self._answers)]
        firsts = {over[0] for over in many if over}
        # An example for each of the answers, not three of one.
        self._tell("repeated-answer", sorted(firsts), rows, lambda i: said(i).answer[:80])
        self._findings.counts["repeated-answer"] += sum(map(len, many)) - len(firsts)
        self._near(rows)

    def _tell(self, check: str, found: list[int], rows: Rows, what: Callable[[int], str]) -> None:
        for i in sorted(found)[:EXAMPLES]:
            where, row = rows[i]
            self._findings.add(check, where, str(row.get("id") or where), what(i))
        self._findings.counts[check] += max(0, len(found) - EXAMPLES)

    def _near(self, rows: Rows) -> None:
        """Near-duplicates between train and what is held out."""
        if self._texts is None or len(self._splits) < 2:
            return

        def crossing(i: int, j: int) -> bool:
            return self._split[i] != self._split[j]

        def same_question(i: int, j: int) -> bool:
            a, b = parts(rows[i].row).prompt, parts(rows[j].row).prompt
            # What is equal once normalised was found already.
            return keys(a) == keys(b) and normalised(a) != normalised(b)

        for near in self._texts.resembling(crossing, same_question):
            placed, other = rows[near.row], rows[near.of]
            what = f"{near.similarity[0]:.2f} with {_name(other)} in {self._splits[self._split[near.of]]}"
            self._findings.add("near-duplicate-across-splits", placed.where, _name(placed), what)


def _name(placed: Placed) -> str:
    return str(placed.row.get("id") or placed.where)
