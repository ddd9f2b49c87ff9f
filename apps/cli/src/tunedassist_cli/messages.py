"""What a person sees while a run goes on; all of it on stderr, so that stdout stays for results."""

from rich.console import Console
from rich.markup import escape


def say(text: str) -> None:
    """A line on stderr, as it is: no markup, no wrapping."""
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(text)


def say_step(number: int, total: int, name: str, *, minutes: float) -> None:
    """The heading of a step, with the minutes that have passed."""
    passed = f" [dim]after {minutes:.0f} min[/dim]" if minutes >= 0.5 else ""
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"[bold]{number}/{total} {escape(name)}[/bold]{passed}"
    )
