"""What is always told about a judge: does it look at the order, at the length, at its own kind?"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ta_eval.judge.ladder import Judgment
from ta_eval.limits import Limits
from ta_eval.stats import length_effect, win_rate

FAMILIES = {
    "gpt": "gpt",
    "chatgpt": "gpt",
    "o1": "gpt",
    "o3": "gpt",
    "o4": "gpt",
    "claude": "claude",
    "gemini": "gemini",
    "gemma": "gemini",
    "mistral": "mistral",
    "mixtral": "mistral",
    "ministral": "mistral",
    "codestral": "mistral",
}
"""Names whose family is not their own first letters."""


class JudgedItem(NamedTuple):
    """One item in both orders: `A` is the answer shown first."""

    id: str
    candidate_first: Judgment | None
    base_first: Judgment | None
    again: Judgment | None = None
    """The first order a second time."""
    lengths: tuple[int, int] = (0, 0)
    """Characters of candidate and baseline."""

    @property
    def winners(self) -> tuple[str, str] | None:
        """`candidate`, `base` or `tie` in the first and the second order; None where one is unread."""
        if self.candidate_first is None or self.base_first is None:
            return None
        one, other = self.candidate_first.answer, self.base_first.answer
        if one is None or other is None:
            return None
        return _winner(one, candidate="A"), _winner(other, candidate="B")

    @property
    def identical(self) -> bool:
        """Whether the answers were the same text and nobody was asked."""
        return self.candidate_first is None

    @property
    def label(self) -> str | None:
        """What counts: the winner that both orders name, else a tie; None where it is unscored."""
        if self.identical:
            return "tie"
        if self.winners is None:
            return None
        one, other = self.winners
        return one if one == other else "tie"


OUTCOMES = {"candidate": 1.0, "tie": 0.5, "base": 0.0}


def audit_pairs(items: Sequence[JudgedItem]) -> dict[str, Any]:
    """Position, length and repetition; see the README for what is usual."""
    asked = [item for item in items if not item.identical]
    both = [item.winners for item in asked if item.winners]
    firsts = [
        float(judgment.answer["winner"] == "A")
        for item in asked
        for judgment in (item.candidate_first, item.base_first)
        if judgment and judgment.answer and judgment.answer["winner"] != "tie"
    ]
    repeated = [
        float(item.candidate_first.answer["winner"] == item.again.answer["winner"])
        for item in asked
        if item.candidate_first and item.candidate_first.answer and item.again and item.again.answer
    ]
    scored = [item for item in asked if item.label]
    effect = length_effect(
        [OUTCOMES[item.label or "tie"] for item in scored],
        [item.lengths[0] for item in scored],
        [item.lengths[1] for item in scored],
    )
    return {
        "position_consistency": win_rate([float(one == other) for one, other in both]).model_dump(),
        "first_position": win_rate(firsts).model_dump(),
        "longer_wins": effect.longer_wins.model_dump(),
        "win_rate_at_equal_length": effect.win_rate_at_equal_length.model_dump(),
        "length_effect": effect.coefficient.model_dump() if math.isfinite(effect.coefficient.high) else None,
        "retest": {"items": len(repeated), **win_rate(repeated).model_dump()},
    }


def audit_answers(judgments: Iterable[Judgment], limits: Limits) -> dict[str, Any]:
    """How the judgments could be read, and what they cost."""
    every = list(judgments)
    prompt, completion = sum(j.prompt_tokens for j in every), sum(j.completion_tokens for j in every)
    return {
        "judgments": len(every),
        "read_by": dict(Counter(j.rung for j in every if j.answer is not None)),
        "unread": dict(Counter(j.reason.partition(":")[0] for j in every if j.answer is None)),
        "cost": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "usd": limits.cost(prompt, completion) if limits.input_price or limits.output_price else None,
        },
    }


def family_warnings(judge: str, systems: dict[str, str]) -> list[str]:
    """A judge tends to prefer its own kind: a line for each system of its family."""
    return [
        f"The judge {judge} and {name} ({model}) are of one family: it may prefer its own kind."
        for name, model in systems.items()
        if model and family(model) == family(judge)
    ]


def family(model: str) -> str:
    """`openai/gpt-4o-mini` and `o3` are gpt, `Qwen2.5-7B` is qwen."""
    name = model.rpartition("/")[2].casefold()
    letters = re.match(r"o\d|[a-z]+", name)
    first = letters[0] if letters else name
    return FAMILIES.get(first, first)


def _winner(answer: dict[str, Any], *, candidate: str) -> str:
    if answer["winner"] == "tie":
        return "tie"
    return "candidate" if answer["winner"] == candidate else "base"
