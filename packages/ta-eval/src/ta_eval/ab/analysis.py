"""What the votes say, once the key is opened; valid however often somebody looked before."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from ta_eval.ab.bundle import Bundle, Key
from ta_eval.ab.votes import Vote
from ta_eval.agree import agree, as_plain
from ta_eval.stats import (
    ENOUGH,
    confidence_sequence,
    largest_capital,
    length_effect,
    win_rate,
)

OUTCOMES = {"candidate": 1.0, "base": 0.0, "tie": 0.5, "both_bad": 0.5}


class Label(NamedTuple):
    """A vote with the sides uncovered: the format that `ta-eval agree` and the judge's calibration read."""

    item: str
    rater: str
    label: str


def analyze(bundle: Bundle, key: Key, votes: Sequence[Vote]) -> dict[str, Any]:
    """Win rate, verdict, and how far the raters can be trusted. The order of the votes matters."""
    labels = uncovered(bundle, key, votes)
    items = outcomes(bundle, labels)
    values = list(items.values())
    capital = largest_capital(values)
    rate = confidence_sequence(values)
    verdict = "not enough"
    if capital >= ENOUGH:
        verdict = "better" if rate.estimate > 0.5 else "worse"
    lengths = {
        key.items[pair.id]: _lengths(pair.left, pair.right, key.candidate_side[pair.id])
        for pair in bundle.originals
    }
    effect = length_effect(values, [lengths[i][0] for i in items], [lengths[i][1] for i in items])
    decided = [vote for vote in votes if vote.choice in ("left", "right")]
    return {
        "baseline": key.baseline,
        "candidate": key.candidate,
        "digests": key.digests,
        "commitment": bundle.commitment,
        "pairs": len(bundle.originals),
        "identical": key.identical,
        "votes": len(votes),
        "votes_per_item": bundle.votes_per_item,
        "items": len(values),
        "unfinished": len({label.item for label in labels}) - len(values),
        "counts": dict(Counter(label.label for label in labels)),
        "win_rate": rate.model_dump(),
        "capital": capital,
        "enough": ENOUGH,
        "verdict": verdict,
        "raters": dict(Counter(vote.rater for vote in votes)),
        "left_share": win_rate([float(vote.choice == "left") for vote in decided]).model_dump(),
        "self_consistency": _self_consistency(bundle, key, votes),
        "agreement": _agreement(labels),
        "longer_wins": effect.longer_wins.model_dump(),
        "win_rate_at_equal_length": effect.win_rate_at_equal_length.model_dump(),
        "median_seconds": median(vote.seconds for vote in votes) if votes else 0.0,
    }


def sentence(found: dict[str, Any]) -> str:
    """The verdict in words."""
    baseline, candidate = found["baseline"], found["candidate"]
    share, low, high = (f"{100 * found['win_rate'][name]:.0f}" for name in ("estimate", "low", "high"))
    facts = (
        f"win rate of {candidate} {share} %, always-valid 95 % interval {low} to {high}, n = {found['items']}"
    )
    if found["verdict"] == "not enough":
        return f"Not enough votes to tell {candidate} from {baseline} ({facts})."
    winner, loser = (candidate, baseline) if found["verdict"] == "better" else (baseline, candidate)
    return f"People prefer {winner} to {loser} ({facts})."


def uncovered(bundle: Bundle, key: Key, votes: Sequence[Vote]) -> list[Label]:
    """First-time votes by item, rater and side."""
    return [
        Label(key.items[vote.pair], vote.rater, _label(vote, key))
        for vote in votes
        if vote.pair in bundle.pairs and not bundle.pairs[vote.pair].repeat_of
    ]


def outcomes(bundle: Bundle, labels: Sequence[Label]) -> dict[str, float]:
    """Item: mean outcome of its first `votes_per_item` votes, in the order in which items were finished.

    One number an item, for the votes on one item are not independent.
    """
    given: dict[str, list[float]] = {}
    finished: dict[str, float] = {}
    for label in labels:
        values = given.setdefault(label.item, [])
        values.append(OUTCOMES[label.label])
        if len(values) == bundle.votes_per_item:
            finished[label.item] = sum(values) / len(values)
    return finished


def _label(vote: Vote, key: Key) -> str:
    if vote.choice in ("tie", "both_bad"):
        return vote.choice
    return "candidate" if vote.choice == key.candidate_side[vote.pair] else "base"


def _self_consistency(bundle: Bundle, key: Key, votes: Sequence[Vote]) -> dict[str, Any]:
    said = {(vote.rater, vote.pair): _label(vote, key) for vote in votes if vote.pair in bundle.pairs}
    same = [
        float(label == said[rater, before])
        for (rater, pair), label in said.items()
        if (before := bundle.pairs[pair].repeat_of) and (rater, before) in said
    ]
    return {"repeated": len(same), **win_rate(same).model_dump()}


def _agreement(labels: Sequence[Label]) -> dict[str, Any] | None:
    """None where no item has two raters."""
    ratings: dict[str, dict[str, str]] = {}
    for label in labels:
        ratings.setdefault(label.item, {})[label.rater] = label.label
    if not any(len(row) > 1 for row in ratings.values()):
        return None
    return as_plain(agree(ratings))


def _lengths(left: str, right: str, candidate_side: str) -> tuple[int, int]:
    """Characters of the candidate's and the baseline's answer."""
    return (len(left), len(right)) if candidate_side == "left" else (len(right), len(left))
