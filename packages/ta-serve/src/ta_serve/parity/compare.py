"""What differs, where, and whether it matters."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ta_serve.parity.llama_model import LlamaModel
from ta_serve.parity.reference import Answered

AROUND = 24
"""Characters of context on each side of a difference."""


class Difference(NamedTuple):
    """The first place where two sides do not agree."""

    chat: str
    what: str

    def __str__(self) -> str:
        return f"{self.chat}: {self.what}"


def first_text_difference(expected: str, found: str, *, side: str) -> str:
    """Where two texts part, with context on both sides; empty where they are the same."""
    if expected == found:
        return ""
    at = next((n for n, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), None)
    if at is None:
        at = min(len(expected), len(found))
    shown = slice(max(0, at - AROUND), at + AROUND)
    return (
        f"the prompts differ from character {at + 1} on: training has …{expected[shown]!r}…, "
        f"{side} has …{found[shown]!r}…"
    )


def first_token_difference(
    expected: Sequence[int], found: Sequence[int], text_of: Callable[[int], str], *, side: str
) -> str:
    """Where two prompts' token ids part; empty where they are the same."""
    if list(expected) == list(found):
        return ""
    at = next((n for n, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), None)
    if at is None:
        return (
            f"{len(expected)} prompt tokens in training, {len(found)} in {side}, the shorter begins the longer"
        )
    before = "".join(text_of(token) for token in expected[max(0, at - 4) : at])
    return (
        f"prompt token {at + 1} after …{before!r}: training has {expected[at]} {text_of(expected[at])!r}, "
        f"{side} has {found[at]} {text_of(found[at])!r}"
    )


class Steps(NamedTuple):
    """How a file's choices compare with the reference's, given the same tokens before."""

    tokens: int
    same: int
    worst_gap: float
    """The largest amount, in logits, by which the reference preferred its own token where they differ."""
    same_answers: int
    """Conversations whose whole greedy answer is the same."""
    first: Difference | None
    """The first choice that differs by more than the tolerance."""


def compare_choices(
    answers: Sequence[Answered],
    choices: Sequence[Sequence[int]],
    text_of: Callable[[int], str],
    *,
    tolerance: float,
) -> Steps:
    """Compare the likeliest tokens of a file with the reference's answers."""
    tokens = same = same_answers = 0
    worst, first = 0.0, None
    for answered, chosen in zip(answers, choices, strict=True):
        matches = [ours == theirs for ours, theirs in zip(answered.answer_ids, chosen, strict=True)]
        tokens += len(matches)
        same += sum(matches)
        same_answers += all(matches)
        for place in (at for at, match in enumerate(matches) if not match):
            gap = answered.gap(place, chosen[place])
            worst = max(worst, gap)
            if gap > tolerance and first is None:
                before = "".join(text_of(token) for token in answered.answer_ids[max(0, place - 6) : place])
                first = Difference(
                    answered.chat.name,
                    f"answer token {place + 1} after …{before!r}: transformers chooses "
                    f"{text_of(answered.answer_ids[place])!r}, the file {text_of(chosen[place])!r}, which "
                    f"transformers finds less likely by {gap:.3f} logits",
                )
    return Steps(tokens, same, worst, same_answers, first)


class Seen(NamedTuple):
    """What llama.cpp makes of a file and the prompts."""

    template: str
    bos: str
    eos: str
    puts_bos_first: bool
    stops_at: dict[int, bool]
    prompt_ids: list[list[int]]
    choices: list[list[int]]
    """For each conversation the likeliest token at each place of the reference's answer."""


def look(
    file: str,
    adapter: str,
    prompts: list[str],
    wanted: list[tuple[list[int], list[int]]],
    stops: list[int],
    threads: int,
) -> Seen:
    """Read a GGUF file in this process. `wanted`: prompt ids and answer ids of each conversation."""
    from pathlib import Path

    longest = max(len(prompt) + len(answer) for prompt, answer in wanted)
    model = LlamaModel(
        Path(file), context_tokens=longest, adapter=Path(adapter) if adapter else None, threads=threads
    )
    choices = []
    for prompt, answer in wanted:
        rows = model.logits([*prompt, *answer[:-1]], start=len(prompt) - 1)
        choices.append([int(token) for token in rows.argmax(axis=1)])
    seen = Seen(
        template=model.template(),
        bos=model.text_of("bos"),
        eos=model.text_of("eos"),
        puts_bos_first=model.puts_bos_first(),
        stops_at={token: model.ends_answer(token) for token in stops},
        prompt_ids=[model.tokenize(prompt) for prompt in prompts],
        choices=choices,
    )
    model.close()
    return seen
