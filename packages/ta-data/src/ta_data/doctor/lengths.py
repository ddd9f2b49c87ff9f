"""Token counts in one tokenizer pass: histogram, what the length limit cuts, rows with nothing to learn."""

from array import array
from collections.abc import Sequence
from typing import Any

from ta_data.doctor.findings import Findings
from ta_data.stats import Counting, quantiles

BATCH = 1000


class Lengths:
    """Counts prompt and answer of each row; what the chat template adds is one constant a message."""

    def __init__(self, findings: Findings, counting: Counting, *, max_tokens: int, per_message: int) -> None:
        self._findings, self._counting = findings, counting
        self._max_tokens, self._per_message = max_tokens, per_message
        self._waiting: list[tuple[str, str, str, str, int]] = []
        self._prompts, self._answers = array("I"), array("I")

    def add(self, where: str, row_id: str, prompt: str, answer: str, *, messages: int) -> None:
        """Take one row; `prompt` is everything that is not answered."""
        self._waiting.append((where, row_id, prompt, answer, messages))
        if len(self._waiting) == BATCH:
            self._count()

    def _count(self) -> None:
        texts = [text for _, _, prompt, answer, _ in self._waiting for text in (prompt, answer)]
        counted = self._counting.measure(texts) if texts else []
        for i, (where, row_id, _, _, messages) in enumerate(self._waiting):
            asked, said = counted[2 * i] + self._per_message * messages, counted[2 * i + 1]
            self._prompts.append(asked)
            self._answers.append(said)
            if said and asked >= self._max_tokens:
                what = f"{asked} {self._counting.unit} of prompt, limit {self._max_tokens}"
                self._findings.add("no-trained-tokens", where, row_id, what)
            elif asked + said > self._max_tokens:
                what = (
                    f"{asked + said - self._max_tokens} of {said} {self._counting.unit} of the answer are cut"
                )
                self._findings.add("truncated-answer", where, row_id, what)
        self._waiting.clear()

    def report(self) -> dict[str, Any]:
        """Quantiles and histogram of prompt, answer and total."""
        self._count()
        totals = array("I", (a + b for a, b in zip(self._prompts, self._answers, strict=True)))
        if not totals:
            return {"unit": self._counting.unit, "max_tokens": self._max_tokens}
        columns = {"prompt": self._prompts, "answer": self._answers, "total": totals}
        return {
            "unit": self._counting.unit,
            "max_tokens": self._max_tokens,
            "sum": sum(totals),
            **{name: {**quantiles(values), "p99": _p99(values)} for name, values in columns.items()},
        }


def _p99(values: Sequence[int]) -> int:
    return sorted(values)[-(-len(values) * 99 // 100) - 1]
