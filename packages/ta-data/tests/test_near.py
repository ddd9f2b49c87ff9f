"""Near-duplicates against an exact join, and the sketch they are found with."""

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rensa")

from ta_data.clean.near import Texts, bands_for
from ta_data.clean.sketch import Shingler, joined, signatures

words = st.lists(st.sampled_from("abcdefgh"), max_size=12).map(" ".join)


def grams(text: str) -> set[tuple[str, ...]]:
    found = text.lower().split()
    if len(found) < 3:
        return {tuple(found)} if found else set()
    return {tuple(found[i : i + 3]) for i in range(len(found) - 2)}


def jaccard(a: str, b: str) -> float:
    return similarity(grams(a), grams(b))


def similarity(x: set[tuple[str, ...]], y: set[tuple[str, ...]]) -> float:
    return len(x & y) / len(x | y) if x | y else 1.0


def texts(rows: list[list[str]], threshold: float = 0.8) -> Texts:
    made = Texts(fields=len(rows[0]), threshold=threshold)
    for row in rows:
        made.add(row)
    return made


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    """240 texts, half of them another one with a few words changed."""
    draw = random.Random(7)
    vocabulary = [f"w{n}" for n in range(3000)]
    rows: list[str] = []
    for _ in range(120):
        base = draw.choices(vocabulary, k=draw.randint(5, 80))
        changed = [word if draw.random() > 0.03 else draw.choice(vocabulary) for word in base]
        rows += [" ".join(base), " ".join(changed)]
    draw.shuffle(rows)
    return rows


@given(st.lists(words, min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_a_set_holds_one_hash_a_gram(rows: list[str]) -> None:
    sets = Shingler().sets(rows)

    for i, row in enumerate(rows):
        mine = sets.hashes[sets.offsets[i] : sets.offsets[i + 1]].tolist()
        assert len(mine) == len(grams(row))
        assert mine == sorted(set(mine))


@given(st.lists(words, min_size=2, max_size=6))
@settings(max_examples=50, deadline=None)
def test_equal_texts_have_equal_sets_in_every_process(rows: list[str]) -> None:
    one, other = Shingler().sets(rows), Shingler().sets(rows[::-1])

    for i in range(len(rows)):
        j = len(rows) - 1 - i
        assert (
            one.hashes[one.offsets[i] : one.offsets[i + 1]].tolist()
            == other.hashes[other.offsets[j] : other.offsets[j + 1]].tolist()
        )


def test_another_salt_shares_no_hash_and_a_union_holds_both() -> None:
    shingler = Shingler()
    one, other = shingler.sets(["a b c d", "x"]), shingler.sets(["a b c d", ""], salt=1)
    both = joined([one, other])

    assert not set(one.hashes.tolist()) & set(other.hashes.tolist())
    assert both.offsets.tolist() == [0, 4, 5]
    assert sorted(both.hashes[:4].tolist()) == sorted([*one.hashes[:2].tolist(), *other.hashes[:2].tolist()])


def test_signatures_agree_as_often_as_the_sets_do() -> None:
    base = [f"w{n}" for n in range(300)]
    rows = [" ".join(base), " ".join([*base[:250], *(f"v{n}" for n in range(50))])]
    made = signatures(Shingler().sets(rows))

    assert abs(float((made[0] == made[1]).mean()) - jaccard(*rows)) < 0.13


def test_what_is_found_is_what_an_exact_join_finds(corpus: list[str]) -> None:
    kept: list[int] = []
    expected = set()
    sets = [grams(text) for text in corpus]
    for i in range(len(corpus)):
        if any(similarity(sets[i], sets[j]) >= 0.8 for j in kept):
            expected.add(i)
        else:
            kept.append(i)

    found = list(texts([[text] for text in corpus]).duplicates())

    assert {near.row for near in found} == expected
    for near in found:
        assert near.similarity[0] == pytest.approx(jaccard(corpus[near.row], corpus[near.of]))


def test_clusters_join_everything_similar(corpus: list[str]) -> None:
    parent = list(range(len(corpus)))
    sets = [grams(text) for text in corpus]
    for i, j in combinations(range(len(corpus)), 2):
        if similarity(sets[i], sets[j]) >= 0.8:
            old, new = max(parent[i], parent[j]), min(parent[i], parent[j])
            parent = [new if p == old else p for p in parent]

    assert texts([[text] for text in corpus]).clusters() == parent


def test_both_fields_must_resemble_the_same_row() -> None:
    long = " ".join(f"w{n}" for n in range(30))
    rows = [["how to copy files", long], ["how to copy files", "other"], ["what is this", long], rows_of(long)]

    assert [near.row for near in texts(rows).duplicates()] == [3]


def rows_of(long: str) -> list[str]:
    return ["How to copy files", f"{long} more"]


def test_a_lower_threshold_finds_more() -> None:
    base = [f"w{n}" for n in range(40)]
    rows = [[" ".join(base)], [" ".join([*base[:30], *(f"v{n}" for n in range(10))])]]

    assert not list(texts(rows, 0.8).duplicates())
    assert [near.row for near in texts(rows, 0.5).duplicates()] == [1]


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 1.0])
def test_the_bands_miss_at_most_two_in_a_thousand_pairs_at_the_threshold(threshold: float) -> None:
    bands = bands_for(threshold)

    assert (1 - threshold ** (126 // bands)) ** bands <= 0.002
