"""Did the search find what holds the answer? Ids retrieved against ids that are relevant."""

import math
from collections.abc import Sequence


def precision(retrieved: Sequence[str], relevant: Sequence[str]) -> float:
    """Share of the distinct retrieved ids that are relevant."""
    found = set(retrieved)
    return len(found & set(relevant)) / len(found) if found else 0.0


def recall_at(retrieved: Sequence[str], relevant: Sequence[str], k: int) -> float:
    """Share of the relevant ids among the first k retrieved."""
    return len(set(retrieved[:k]) & set(relevant)) / len(set(relevant))


def reciprocal_rank(retrieved: Sequence[str], relevant: Sequence[str]) -> float:
    """1 / the rank of the first relevant id, 0 where there is none; its mean is MRR (Voorhees 1999)."""
    wanted = set(relevant)
    return next((1 / rank for rank, id_ in enumerate(retrieved, start=1) if id_ in wanted), 0.0)


def ndcg_at(retrieved: Sequence[str], relevant: Sequence[str], k: int) -> float:
    """Normalised discounted cumulative gain of the first k, gains 0 or 1 (Järvelin and Kekäläinen 2002)."""
    wanted, seen, gain = set(relevant), set[str](), 0.0
    for rank, id_ in enumerate(retrieved[:k], start=1):
        if id_ in wanted and id_ not in seen:
            gain += 1 / math.log2(rank + 1)
        seen.add(id_)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
    return gain / ideal


def average_precision(useful: Sequence[bool]) -> float:
    """Mean of the precision at each useful context's rank: RAGAS' context precision. 0 where none is useful."""
    hits, total = 0, 0.0
    for rank, is_useful in enumerate(useful, start=1):
        if is_useful:
            hits += 1
            total += hits / rank
    return total / hits if hits else 0.0
