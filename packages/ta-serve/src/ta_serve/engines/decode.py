"""The decoding loop: left padding, a cache, rows that leave the batch when they are finished."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ta_serve.engines.cache import can_share_prefix, new_cache, repeated
from ta_serve.engines.row import Choice, Row

MIN_SHARED = 8
"""Tokens that all prompts must share before they are computed once for all."""


def plan_batches(lengths: Sequence[int], *, max_tokens: int, max_batch_tokens: int) -> list[list[int]]:
    """Positions of the prompts in batches, longest first.

    A batch costs rows x (longest prompt + max_tokens) cache slots and stays within `max_batch_tokens`, but
    has at least one row. Like lengths go together, so that little is padding.
    """
    order = sorted(range(len(lengths)), key=lambda at: -lengths[at])
    batches: list[list[int]] = []
    for at in order:
        slots = (lengths[batches[-1][0]] + max_tokens) if batches else 0
        if batches and (len(batches[-1]) + 1) * slots <= max_batch_tokens:
            batches[-1].append(at)
        else:
            batches.append([at])
    return batches


class Prefix:
    """The tokens that all prompts begin with, such as a system prompt, computed once."""

    def __init__(self, model: Any, prompts: Sequence[list[int]]) -> None:
        self.length = 0
        self.cache = new_cache(model)
        shared = _shared_length(prompts)
        if len(prompts) > 1 and shared >= MIN_SHARED and can_share_prefix(self.cache):
            self.length = shared
            with torch.inference_mode():
                ids = torch.tensor([prompts[0][:shared]], device=model.device)
                model(input_ids=ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1)

    def cache_for(self, model: Any, rows: int) -> Any:
        """A cache that holds the prefix for a batch."""
        return repeated(self.cache, rows) if self.length else new_cache(model)


def decode(
    model: Any, rows: list[Row], prefix: Prefix, *, pad_id: int, temperature: float, shrink: bool = True
) -> Iterator[None]:
    """Answer a batch; yield after each token, when every unfinished row has got one.

    Closing the iterator ends the work. Finished rows leave the batch at once (`shrink`): a step costs in
    proportion to its rows as soon as there are more than a few.
    """
    rests = [row.prompt[prefix.length :] for row in rows]
    width = max(len(rest) for rest in rests)
    steps = max(row.max_tokens for row in rows)
    ids = torch.full((len(rows), width), pad_id)
    mask = torch.ones((len(rows), prefix.length + width + steps), dtype=torch.long)
    for at, rest in enumerate(rests):
        ids[at, width - len(rest) :] = torch.tensor(rest)
        mask[at, prefix.length : prefix.length + width - len(rest)] = 0
    ids, mask = ids.to(model.device), mask.to(model.device)
    filled = prefix.length + width
    positions = (mask[:, :filled].cumsum(1) - 1).clamp(min=0)[:, prefix.length :]
    cache = prefix.cache_for(model, len(rows))
    active = rows
    while True:
        with torch.inference_mode():
            logits = model(
                input_ids=ids,
                attention_mask=mask[:, :filled],
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            tokens = pick(logits, active, temperature=temperature)
        for row, token in zip(active, tokens, strict=True):
            if row.finish_reason is None:
                row.accept(token)
        yield
        staying = [at for at, row in enumerate(active) if row.finish_reason is None]
        if not staying:
            return
        positions = positions[:, -1:] + 1
        ids = torch.tensor(tokens, device=model.device)[:, None]
        if shrink and len(staying) < len(active):
            kept = torch.tensor(staying, device=model.device)
            active = [active[at] for at in staying]
            with torch.inference_mode():
                cache.batch_select_indices(kept)
            ids, mask, positions = ids[kept], mask[kept], positions[kept]
        filled += 1


def pick(logits: torch.Tensor, rows: Sequence[Row], *, temperature: float) -> list[int]:
    """The next token of each row from logits (rows, vocabulary): the likeliest, or one drawn."""
    if any(row.choice != Choice() for row in rows):
        logits = torch.stack(
            [_narrowed(of_row, row, temperature) for of_row, row in zip(logits, rows, strict=True)]
        )
    if temperature == 0:
        return [int(token) for token in logits.argmax(-1).tolist()]
    # Inverse of the cumulative distribution: one number a row, from the row's own sequence.
    cumulative = torch.softmax(logits.float() / temperature, dim=-1).cumsum(-1)
    drawn = torch.tensor([[row.draw()] for row in rows], device=logits.device) * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, drawn, right=True).clamp(max=logits.shape[-1] - 1)
    return [int(token) for token in tokens[:, 0].tolist()]


def _narrowed(logits: torch.Tensor, row: Row, temperature: float) -> torch.Tensor:
    """A row's logits after its penalties, with what top-k and top-p leave out at minus infinity."""
    choice = row.choice
    if choice.presence_penalty or choice.frequency_penalty:
        logits = logits.clone()
        for token, times in Counter(row.tokens).items():
            logits[token] -= choice.presence_penalty + choice.frequency_penalty * times
    if temperature == 0 or (not choice.top_k and choice.top_p >= 1):
        return logits
    order = logits.argsort(descending=True)
    shares = torch.softmax(logits[order].float() / temperature, -1)
    if choice.top_k:
        shares[choice.top_k :] = 0
        shares /= shares.sum()
    before = shares.cumsum(-1) - shares
    kept = order[(before < choice.top_p) & (shares > 0)]
    return torch.full_like(logits, float("-inf")).index_copy(0, kept, logits[kept])


def _shared_length(prompts: Sequence[list[int]]) -> int:
    """Tokens that all prompts begin with, leaving each at least one of its own."""
    first, last = min(prompts), max(prompts)  # in lexical order these two differ first
    limit = min(len(prompt) for prompt in prompts) - 1
    return next((at for at in range(limit) if first[at] != last[at]), max(limit, 0))
