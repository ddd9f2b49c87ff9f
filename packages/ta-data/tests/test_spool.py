"""Items on the disk are the items that were put there; equal values are grouped in order."""

from array import array
from collections import defaultdict
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from ta_data.groups import digest, groups
from ta_data.spool import Spool


class Item(NamedTuple):
    name: str
    values: list[int]


items = st.lists(st.builds(Item, st.text(max_size=5), st.lists(st.integers(0, 9), max_size=3)), max_size=20)


@given(items, st.data())
def test_a_spool_is_a_list(given_items: list[Item], data: st.DataObject) -> None:
    with Spool(Item) as spool:
        for item in given_items:
            spool.append(item)
            assert spool[len(spool) - 1] == item
        assert list(spool) == given_items
        assert [spool[i] for i in range(len(spool))] == given_items
        # Looking things up on the way does not disturb who goes through.
        assert [spool[len(spool) - 1 - i] for i, _ in enumerate(spool)] == given_items[::-1]


@given(st.lists(st.integers(0, 4)))
def test_groups_are_those_of_a_dict(values: list[int]) -> None:
    places: defaultdict[int, list[int]] = defaultdict(list)
    for i, value in enumerate(values):
        places[value].append(i)

    expected = [at for value, at in sorted(places.items()) if value and len(at) > 1]

    assert list(groups(array("Q", values))) == expected


@given(st.text(), st.text())
def test_a_digest_is_of_the_text_and_never_nothing(one: str, other: str) -> None:
    assert digest(one) > 0
    assert (digest(one) == digest(other)) == (one == other)
