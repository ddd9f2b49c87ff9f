"""What an engine takes and gives."""

from typing import Literal, NamedTuple, TypedDict

ChatMessage = dict[str, str]
"""`{"role": "user", "content": "…"}`"""

FinishReason = Literal["stop", "length"]


class Completion(NamedTuple):
    """An answer. The stop token is neither in the text nor counted."""

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int


class Asking(TypedDict):
    """How to answer."""

    max_tokens: int
    temperature: float
    seed: int
