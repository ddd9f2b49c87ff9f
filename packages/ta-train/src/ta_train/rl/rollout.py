"""Answers sampled from the model, and what a reward says of them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from ta_schemas import Artifact, InputError
from ta_train.rl.prompts import Messages, Prompt


class Reward(Protocol):
    """What judges answers: a function of yours, or a reward model (`load_reward`)."""

    def __call__(
        self, prompts: list[Messages], answers: list[str], references: list[str], /
    ) -> Sequence[float]:
        """One number an answer; `references` are the dataset's own answers to these prompts."""


class Answers(NamedTuple):
    """Answers to a batch of prompts: prompts padded on the left, answers on the right."""

    input_ids: Any
    """(answers, prompt + answer tokens)"""
    attention_mask: Any
    """As long; 0 where padded."""
    mask: Any
    """(answers, answer tokens); 1 up to the stop token, which belongs to the answer."""
    stopped: list[bool]
    """Whether the stop token came before `max_tokens`."""
    texts: list[str]


def answer(
    model: Any, tokenizer: Any, prompts: Sequence[Prompt], *, max_tokens: int, temperature: float
) -> Answers:
    """Answer a batch of prompts; `temperature` 0 takes the likeliest token.

    Samples from torch's global random numbers, without top-k or top-p: the probabilities are the model's own.
    """
    import torch
    from transformers import GenerationConfig

    width = max(len(prompt.input_ids) for prompt in prompts)
    padding = [width - len(prompt.input_ids) for prompt in prompts]
    pad, stop, device = tokenizer.pad_token_id, tokenizer.eos_token_id, model.device
    ids = torch.tensor([[pad] * n + p.input_ids for n, p in zip(padding, prompts, strict=True)], device=device)
    attention = torch.tensor([[0] * n + [1] * (width - n) for n in padding], device=device)
    # Everything is said, so that nothing comes from the model's own generation settings.
    how = GenerationConfig(
        max_new_tokens=max_tokens,
        do_sample=temperature > 0,
        temperature=temperature or 1.0,
        top_k=0 if temperature else 50,  # 50 is the library's default: another one makes it warn where unused
        top_p=1.0,
        repetition_penalty=1.0,
        eos_token_id=stop,
        pad_token_id=pad,
        bos_token_id=tokenizer.bos_token_id,
        use_cache=True,
    )
    training = model.training
    model.eval()
    with torch.no_grad():
        ids = model.generate(input_ids=ids, attention_mask=attention, generation_config=how)
    model.train(training)
    tokens = ids[:, width:]
    stops = (tokens == stop).long()
    mask = (stops.cumsum(dim=1) - stops == 0).long()  # up to the first stop token, that one included
    return Answers(
        input_ids=ids,
        attention_mask=torch.cat([attention, mask], dim=1),
        mask=mask,
        stopped=stops.any(dim=1).tolist(),
        texts=[
            tokenizer.decode(row[keep.bool()], skip_special_tokens=True)
            for row, keep in zip(tokens, mask, strict=True)
        ],
    )


def judge(reward: Reward, prompts: list[Messages], answers: list[str], references: list[str]) -> list[float]:
    """Ask the reward, and refuse what is not one finite number an answer. Raises InputError."""
    scores = [float(score) for score in reward(prompts, answers, references)]
    if len(scores) != len(answers):
        raise InputError(
            f"reward {reward_name(reward)}: {len(scores)} rewards for {len(answers)} answers: give one each"
        )
    if not all(math.isfinite(score) for score in scores):
        raise InputError(f"reward {reward_name(reward)}: gave {scores}: every reward must be a finite number")
    return scores


def judge_prompts(reward: Reward, prompts: Sequence[Prompt], answers: list[str]) -> list[float]:
    """`judge` answers to prompts."""
    return judge(reward, [p.messages for p in prompts], answers, [p.reference for p in prompts])


def mean_reward(
    model: Any, tokenizer: Any, prompts: Sequence[Prompt], reward: Reward, *, max_tokens: int, batch_size: int
) -> float:
    """The mean reward of the likeliest answers, so that two measurements differ by the model alone."""
    total = 0.0
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        answers = answer(model, tokenizer, batch, max_tokens=max_tokens, temperature=0)
        total += sum(judge_prompts(reward, batch, answers.texts))
    return total / len(prompts)


def reward_name(reward: Reward) -> str:
    """How the manifest names it: `module:function`."""
    return f"{reward.__module__}:{getattr(reward, '__qualname__', type(reward).__qualname__)}"


def reward_artifacts(reward: Reward) -> list[Artifact]:
    """The artifact of a reward model; none for a function."""
    artifact = getattr(reward, "artifact", None)
    return [artifact] if artifact else []
