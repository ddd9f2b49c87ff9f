"""What a long step is doing, on one line of the terminal; nothing where stderr is no terminal."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Tell = Callable[[str], None]
"""Takes what is going on."""

ItemT = TypeVar("ItemT")
EVERY = 1000


def silent(_: str) -> None:
    """Tell nobody."""


@contextmanager
def status() -> Iterator[Tell]:
    """A line that changes, with a clock that shows that it goes on."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting")
        yield lambda text: progress.update(task, description=text)


def counted(items: Iterable[ItemT], what: str, tell: Tell) -> Iterator[ItemT]:
    """The items, and every thousandth is told of: `reading: 12,000 rows`."""
    for number, item in enumerate(items, start=1):
        if number % EVERY == 0:
            tell(f"{what}: {number:,} rows")
        yield item
