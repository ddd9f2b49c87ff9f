"""The injection detector on labelled texts: by source and family, as a curve, and its time by length."""

import bisect
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ta_safety.detectors.injection.detect import Channel, detect, threshold
from ta_safety.stats import percent, percentile, wilson

FALSE_POSITIVES = (0.005, 0.01, 0.02, 0.05)


class Scored(NamedTuple):
    """One text after detection."""

    source: str
    family: str
    tier: str
    """explicit, obfuscated or implicit for attacks; domain, hard or other for harmless texts."""
    attack: bool
    channel: Channel
    score: float
    length: int
    ms: float
    """CPU time."""


def score_file(file: Path, *, attack: bool, tier: str) -> list[Scored]:
    """The rows of a JSONL file: {"text", "family"?, "channel"?, "tier"?, "label"?}; `attack` and `tier` are for
    rows that do not say."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = row.get("text") or row["messages"][-1]["content"]
        channel: Channel = "document" if row.get("channel") == "document" else "user"
        began = time.process_time()
        score = detect(text, channel=channel).score
        ms = 1e3 * (time.process_time() - began)
        labelled = row["label"] in ("attack", "malicious") if "label" in row else attack
        family = "" if "messages" in row else str(row.get("family") or row.get("category") or "")
        own = row.get("tier") or ("hard" if family and not labelled else tier)
        found.append(Scored(file.stem, family, own, labelled, channel, score, len(text), ms))
    return found


def print_families(texts: Sequence[Scored], domain_threshold: float) -> None:
    """Flagged by source and family, at the shipped threshold and at the domain's (user messages only)."""
    print(f"\nshipped thresholds: user {threshold('user'):.3f}, document {threshold('document'):.3f}")
    print(f"\n| source | family | label | n | flagged (95 % interval) | at the domain's {domain_threshold:g} |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    groups: dict[tuple[str, str, bool, Channel], list[float]] = {}
    for text in texts:
        groups.setdefault((text.source, text.family, text.attack, text.channel), []).append(text.score)
    for (source, family, attack, channel), scores in groups.items():
        shipped, own = (
            percent(wilson(sum(score >= limit for score in scores), len(scores)))
            for limit in (threshold(channel), domain_threshold)
        )
        own = own if channel == "user" else ""
        label = "attack" if attack else "harmless"
        label += ", document" if channel == "document" else ""
        print(f"| {source} | {family} | {label} | {len(scores)} | {shipped} | {own} |")


def print_curve(texts: Sequence[Scored]) -> None:
    """What is found when so many harmless user texts may be flagged: of the domain's, and of all."""
    user = [text for text in texts if text.channel == "user"]
    harmless = {
        "domain": [t.score for t in user if not t.attack and t.tier == "domain"],
        "all": [t.score for t in user if not t.attack],
    }
    tiers = sorted({t.tier for t in user if t.attack})
    print(
        f"\n| flagged | of | threshold | {' | '.join(tiers)} |\n| ---: | --- | ---: |{' ---: |' * len(tiers)}"
    )
    for name, scores in harmless.items():
        ordered = sorted(scores, reverse=True)
        for share in FALSE_POSITIVES:
            limit = ordered[min(len(ordered) - 1, int(share * len(ordered)))]
            cells = []
            for tier in tiers:
                mine = [t.score for t in user if t.attack and t.tier == tier]
                cells.append(percent(wilson(sum(s > limit for s in mine), len(mine))))
            print(f"| {100 * share:g} % | {name} ({len(scores)}) | {limit:.3f} | {' | '.join(cells)} |")
    attacks = [t.score for t in user if t.attack and t.tier in ("explicit", "obfuscated")]
    print(f"\nAUC, explicit and obfuscated attacks against all harmless: {_auc(attacks, harmless['all']):.4f}")


def print_cost(texts: Sequence[Scored]) -> None:
    """CPU milliseconds by length of the text."""
    print("\n| injection, texts of | n | p50 ms | p95 ms |\n| --- | ---: | ---: | ---: |")
    for low, high in ((0, 500), (500, 2_000), (2_000, 6_000), (6_000, 10**9), (0, 10**9)):
        times = [t.ms for t in texts if low <= t.length < high]
        name = (
            "all lengths" if high - low == 10**9 else f"{low} to {high}" if high < 10**9 else f"{low} and more"
        )
        if times:
            p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
            print(f"| {name} characters | {len(times)} | {p50:.2f} | {p95:.2f} |")


def _auc(attacks: Sequence[float], harmless: Sequence[float]) -> float:
    """Chance that an attack scores higher than a harmless text; ties count half."""
    ordered = sorted(harmless)
    wins = 0.0
    for score in attacks:
        low, high = bisect.bisect_left(ordered, score), bisect.bisect_right(ordered, score)
        wins += low + 0.5 * (high - low)
    return wins / max(1, len(attacks) * len(harmless))
