"""A batch as a tree of prefixes: what several rows begin with is computed once."""

from typing import NamedTuple

import torch
from torch import Tensor

from ta_train.render import IGNORED


class Packed(NamedTuple):
    """A batch of B rows of at most L tokens as N nodes, a node for each different prefix.

    A causal model's hidden state depends on the prefix alone, so rows that begin alike, as all do that share
    a system prompt, share those nodes: same loss, same gradients. Padding is no node.
    """

    token_ids: Tensor
    """[N], the last token of each prefix."""
    positions: Tensor
    """[N], its position in the row."""
    nodes: Tensor
    """[B * L], the node of each token of the batch; padding points at node 0."""
    owners: Tensor
    """[N], for each node one of its places in [B * L]."""
    visible: Tensor
    """[B, 1, L, L], 0 where a query may look, -inf where it may not."""
    trained: Tensor
    """[P], the nodes before a trained token."""
    targets: Tensor
    """[P], that token."""
    rows: Tensor
    """[P], its row."""
    n_tokens: int
    """Tokens of the batch without padding, before sharing."""


def pack(input_ids: Tensor, attention_mask: Tensor, labels: Tensor, *, share: bool = True) -> Packed:
    """Pack a right-padded batch, three tensors of [B, L]; `share=False` gives each row nodes of its own."""
    rows, width = input_ids.shape
    lengths = attention_mask.sum(dim=1).tolist()
    known: dict[tuple[int, int], int] = {}
    token_ids: list[int] = []
    positions: list[int] = []
    owners: list[int] = []
    trained: list[int] = []
    targets: list[int] = []
    rows_of_targets: list[int] = []
    nodes = [0] * (rows * width)
    for row, (ids, wanted) in enumerate(zip(input_ids.tolist(), labels.tolist(), strict=True)):
        node = -1 if share else -1 - row  # each negative number is a root of its own
        for position in range(lengths[row]):
            if position and wanted[position] != IGNORED:
                trained.append(node)
                targets.append(wanted[position])
                rows_of_targets.append(row)
            key = (node, ids[position])
            place = row * width + position
            node = known.setdefault(key, len(token_ids))
            if node == len(token_ids):
                token_ids.append(ids[position])
                positions.append(position)
                owners.append(place)
            nodes[place] = node
    index = torch.arange(width)
    causal = index[:, None] >= index
    real = index < torch.tensor(lengths)[:, None]
    # A padded query sees the first token, so that its softmax is finite; its output is never used.
    seen = causal & (real[:, None, :] | (index == 0))
    return Packed(
        token_ids=torch.tensor(token_ids),
        positions=torch.tensor(positions),
        nodes=torch.tensor(nodes),
        owners=torch.tensor(owners),
        visible=torch.where(seen, 0.0, float("-inf"))[:, None],
        trained=torch.tensor(trained, dtype=torch.long),
        targets=torch.tensor(targets, dtype=torch.long),
        rows=torch.tensor(rows_of_targets, dtype=torch.long),
        n_tokens=sum(lengths),
    )
