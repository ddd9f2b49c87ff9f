import pytest

from ta_eval.scorers.options import _table, options_of


@pytest.mark.parametrize("command", sorted(_table()))
def test_every_entry_of_the_table_can_be_read(command: str) -> None:
    options = options_of(command)
    assert options is not None
    for target in options.same.values():
        assert target in options.listed or len(target) == 1, target


def test_an_unlisted_command_has_no_options() -> None:
    assert options_of("frobnicate") is None
