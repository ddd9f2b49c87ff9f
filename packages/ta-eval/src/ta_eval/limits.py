"""What a run may cost: prices, a budget, a deadline, and the estimate before anything is asked."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ta_eval.target import Failure, Message, Reply
from ta_schemas import InputError, SetupError

BYTES_PER_TOKEN = 4.0
"""English text, byte-pair vocabularies of 32,000 to 200,000 tokens; used where no answer has told better."""
TOKENS_PER_MESSAGE = 4
"""What a chat template puts round a message."""


@dataclass
class Limits:
    """Prices in USD per million tokens; `budget` in USD and `deadline_s` in seconds stop the run; 0: none."""

    input_price: float = 0.0
    output_price: float = 0.0
    budget: float = 0.0
    deadline_s: float = 0.0
    spent: float = field(default=0.0, init=False)
    started: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        if self.budget and not self.input_price and not self.output_price:
            raise InputError("--budget: needs --input-price and --output-price to know what is spent")

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """USD for so many tokens."""
        return (prompt_tokens * self.input_price + completion_tokens * self.output_price) / 1e6

    def count(self, replies: Iterable[Reply | Failure]) -> None:
        """Add what replies cost."""
        for reply in replies:
            if isinstance(reply, Reply):
                self.spent += self.cost(reply.prompt_tokens, reply.completion_tokens)

    def check(self, kept: int, total: int) -> None:
        """SetupError once the budget or the time is used up and something is left to ask."""
        if kept >= total:
            return
        told = f"{kept} of {total} answers are kept: run the same command"
        if self.budget and self.spent >= self.budget:
            raise SetupError(
                f"budget used up: {self.spent:.4f} of {self.budget:g} USD; {told} with more --budget"
            )
        if self.deadline_s and time.monotonic() - self.started >= self.deadline_s:
            raise SetupError(f"deadline of {self.deadline_s:g} s has passed; {told} to go on")


class Estimate(NamedTuple):
    """What asking would take. Costs in USD."""

    items: int
    already_answered: int
    requests: int
    prompt_tokens: int
    completion_tokens_at_most: int
    cost_at_most: float


def estimate(
    asked: Sequence[list[Message]], known: Sequence[Reply], *, items: int, max_tokens: int, limits: Limits
) -> Estimate:
    """Requests, tokens and cost of `asked`; every answer is taken to be as long as it may be.

    Prompt tokens are bytes / 4 and 4 for each message: within some 20 % for English.
    """
    prompt = sum(
        TOKENS_PER_MESSAGE + len(message["content"].encode()) / BYTES_PER_TOKEN
        for messages in asked
        for message in messages
    )
    completion = len(asked) * max_tokens
    return Estimate(items, len(known), len(asked), round(prompt), completion, limits.cost(prompt, completion))
