"""The conversation in a terminal: streaming answers, a history, Ctrl-C and Ctrl-D."""

import sys
from collections.abc import Callable, Generator, Iterator

from rich.console import Console

from ta_schemas import InputError
from ta_serve.completion import ChatMessage

Answer = Callable[[list[ChatMessage]], Iterator[str]]
"""Streams the answer to a conversation."""

HINT = "Ctrl-C stops an answer, Ctrl-D leaves, /new forgets the conversation."


def ask_once(answer: Answer, message: str, *, system: str) -> str:
    """Print the answer to one message on stdout as it comes, and return it."""
    text = _say(answer([*_opening(system), {"role": "user", "content": message}]))
    print()
    return text


def converse(answer: Answer, *, system: str, name: str) -> list[ChatMessage]:
    """Talk until the input ends; give the conversation as it stood then.

    Ctrl-C stops the running answer; what was said of it stays in the history. Input that is not a terminal
    is read line by line.
    """
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print(f"{name}. {HINT}")
    history = _opening(system)
    while True:
        try:
            message = _read_line().strip()
        except KeyboardInterrupt:
            console.print(f"\n{HINT}")
            continue
        except EOFError:
            console.print()
            return history
        if message == "/new":
            history = _opening(system)
        elif message:
            asked: list[ChatMessage] = [*history, {"role": "user", "content": message}]
            said: list[str] = []
            try:
                _say(answer(asked), said)
            except KeyboardInterrupt:
                console.print(" (stopped)", end="")
            except InputError as error:
                console.print(f"{error} (/new starts again)")
                continue
            print()
            history = [*asked, {"role": "assistant", "content": "".join(said)}]


def _opening(system: str) -> list[ChatMessage]:
    return [{"role": "system", "content": system}] if system else []


def _say(pieces: Iterator[str], said: list[str] | None = None) -> str:
    """Print pieces as they come; close the stream whatever happens."""
    said = [] if said is None else said
    try:
        for piece in pieces:
            said.append(piece)
            print(piece, end="", flush=True)
    finally:
        if isinstance(pieces, Generator):
            pieces.close()
    return "".join(said)


def _read_line() -> str:
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line
    import readline  # noqa: F401 - gives input() its line editing and history

    return input("> ")
