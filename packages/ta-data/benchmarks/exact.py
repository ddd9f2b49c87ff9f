"""The truth for near-duplicates: every pair with a Jaccard of 0.8 or more, by prefix filtering and counting.

Sets are word 3-grams of the lower-cased text, as in `ta_data.clean.sketch`, but made here of strings. Two sets
with a Jaccard of t share a gram among the first |a| - ceil(t |a|) + 1 of each, when grams are ordered by rarity
(Bayardo, Ma and Srikant 2007), so only those are indexed.
"""

import math
import re
from collections import Counter, defaultdict


def grams(text: str) -> list[str]:
    """The distinct word 3-grams; a shorter text is one gram."""
    words = re.findall(r"\w+", text.lower())
    if len(words) < 3:
        return [" ".join(words)] if words else []
    return list(dict.fromkeys(" ".join(words[i : i + 3]) for i in range(len(words) - 2)))


def near_pairs(texts: list[str], threshold: float, only: set[int]) -> dict[int, set[int]]:
    """For each text of `only` the earlier ones, of all texts, that are at least `threshold` similar."""
    counts: Counter[str] = Counter()
    made = [grams(text) for text in texts]
    for found in made:
        counts.update(found)
    number = {
        gram: i for i, (gram, _) in enumerate(sorted(counts.items(), key=lambda item: (item[1], item[0])))
    }
    sets = [sorted(number[gram] for gram in found) for found in made]
    del made, counts, number
    index: dict[int, list[int]] = defaultdict(list)
    near: dict[int, set[int]] = defaultdict(set)
    as_sets = [frozenset(found) for found in sets]
    for i, found in enumerate(sets):
        size = len(found)
        prefix = found[: size - math.ceil(threshold * size - 1e-9) + 1]
        for j in {j for gram in prefix for j in index[gram]} if i in only else ():
            other = as_sets[j]
            if not threshold * size <= len(other) <= size / threshold:
                continue
            both = len(as_sets[i] & other)
            if both / (size + len(other) - both) >= threshold:
                near[i].add(j)
        for gram in prefix:
            index[gram].append(i)
    return near
