"""Progress of a few long steps, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def steps(name: str) -> Iterator[Callable[[str], None]]:
    """Shows the step that is under way and how long it all takes so far."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda step: bar.update(task, description=f"{name}: {step}")
