"""A running server (vLLM, llama-server, Ollama, our API): the prompts it counts, the greedy answers it gives.

Over the wire there are no token ids and no logits: a prompt is compared by its length in tokens, an answer up
to its first other token, which must be a near tie.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ta_serve.completion import Completion
from ta_serve.open import open_engine
from ta_serve.parity.compare import Difference, Steps
from ta_serve.parity.reference import Answered, Reference


class Server(NamedTuple):
    """Where it is."""

    url: str
    model: str | None = None
    api_key: str | None = None


def ask(
    server: Server, answers: Sequence[Answered], *, max_tokens: int, stop: Sequence[str]
) -> list[Completion]:
    """Its greedy answers. Raises SetupError (no server), InputError (no such model, wrong key)."""
    with open_engine(server.url, model=server.model, api_key=server.api_key) as engine:
        conversations = [answered.chat.messages for answered in answers]
        said: list[Completion] = engine.generate(conversations, max_tokens=max_tokens, stop=stop)
    return said


def comparable(reference: Reference, answers: Sequence[Answered]) -> list[Answered]:
    """All conversations; those with a system prompt where the model was tuned with one, for servers add it."""
    if not reference.settings.system_prompt:
        return list(answers)
    return [answered for answered in answers if answered.chat.messages[0]["role"] == "system"]


def other_prompts(answers: Sequence[Answered], said: Sequence[Completion]) -> list[Difference]:
    """Conversations whose prompt has another number of tokens."""
    return [
        Difference(
            answered.chat.name,
            f"the server counts {answer.prompt_tokens} prompt tokens, training {len(answered.prompt_ids)}",
        )
        for answered, answer in zip(answers, said, strict=True)
        if answer.prompt_tokens != len(answered.prompt_ids)
    ]


def compare_texts(
    reference: Reference, answers: Sequence[Answered], said: Sequence[Completion], *, tolerance: float
) -> Steps:
    """Compare answers up to their first other token; what follows it is another answer and is not counted.

    The server's text is cut into tokens again, so where it parts at bytes that are no character the difference
    counts, though it may have been a near tie.
    """
    tokens = same = same_answers = 0
    worst, first = 0.0, None
    for answered, answer in zip(answers, said, strict=True):
        if _whole(answer.text) == _whole(reference.text_of(answered)):
            tokens += len(answered.answer_ids)
            same += len(answered.answer_ids)
            same_answers += 1
            continue
        place, token = _first_other(reference, answered, answer.text)
        tokens, same = tokens + place + 1, same + place
        gap = answered.gap(place, token)
        worst = max(worst, gap)
        if gap > tolerance and first is None:
            what = (
                f"answer token {place + 1}: transformers answers {reference.text_of(answered)!r}, the server "
                f"{answer.text!r}, which transformers finds less likely by {gap:.3f} logits"
            )
            first = Difference(answered.chat.name, what)
    return Steps(tokens, same, worst, same_answers, first)


def _whole(text: str) -> str:
    """Without what is no character: some servers keep back the bytes of one that is not complete."""
    return text.replace("\ufffd", "")


def _first_other(reference: Reference, answered: Answered, text: str) -> tuple[int, int]:
    """Place and token where the server's answer parts from ours; at its end that is a stop token."""
    ids = [int(token) for token in reference.tokenizer(text, add_special_tokens=False).input_ids]
    ids.append(next(iter(reference.stop_ids()), answered.answer_ids[-1]))
    pairs = enumerate(zip(answered.answer_ids, ids, strict=False))
    return next(
        ((at, theirs) for at, (ours, theirs) in pairs if ours != theirs),
        (len(answered.answer_ids) - 1, ids[min(len(ids), len(answered.answer_ids)) - 1]),
    )
