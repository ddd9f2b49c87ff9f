"""What a person sees while a run goes on; all of it on stderr, so that stdout stays for results."""

from rich.console import Console


def say(text: str) -> None:
    """A line on stderr, as it is: no markup, no wrapping."""
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(text)


def say_step(number: int, total: int, name: str) -> None:
    """The heading of a step."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold]{number}/{total} {name}[/bold]")
