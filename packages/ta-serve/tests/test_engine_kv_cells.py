import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ta_serve.engines.llama_cpp.cells import Ledger
from ta_serve.engines.llama_cpp.kv_cache import common
from ta_serve.engines.llama_cpp.threads import _quota, usable_cores


def test_a_shared_cell_is_free_when_the_last_one_releases_it():
    ledger = Ledger(10)
    cells = ledger.take(4)
    ledger.share(cells[:3])
    ledger.release(cells)
    assert ledger.free == 7
    ledger.release(cells[:3])
    assert ledger.free == 10


def test_more_cells_than_are_free_are_refused():
    ledger = Ledger(3)
    ledger.take(2)
    with pytest.raises(ValueError, match="2 cells wanted, 1 free"):
        ledger.take(2)


@given(st.lists(st.integers(1, 5), max_size=8))
def test_no_two_hold_the_same_cell(counts):
    ledger = Ledger(40)
    taken = [ledger.take(count) for count in counts]
    held = [cell for cells in taken for cell in cells]
    assert len(held) == len(set(held)) == 40 - ledger.free


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_is_the_length_of_the_shared_beginning(one, other):
    length = common(np.array(one, np.int32), np.array(other, np.int32))
    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]


def test_a_container_with_two_processors_computes_with_two_threads(tmp_path):
    quota = tmp_path / "cpu.max"
    quota.write_text("250000 100000\n")
    assert _quota(64, quota) == 2
    quota.write_text("50000 100000\n")
    assert _quota(64, quota) == 1
    quota.write_text("max 100000\n")
    assert _quota(64, quota) == 64
    assert _quota(64, tmp_path / "absent") == 64


def test_there_is_always_a_core():
    assert usable_cores() >= 1
