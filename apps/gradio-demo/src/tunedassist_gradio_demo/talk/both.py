"""Two answers at the same time: each in a thread of its own, heard in one place."""

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import NamedTuple

from tunedassist_gradio_demo.talk.respond import Step
from tunedassist_gradio_demo.talk.turn import Turn

Answering = Callable[[], Iterator[Step]]


class Pair(NamedTuple):
    """Both sides as they stand; None before a side's first word."""

    left: Turn | None
    right: Turn | None
    request_ids: tuple[str, str]


def side_by_side(left: Answering, right: Answering) -> Iterator[Pair]:
    """Steps of both, as they come. An error of a side (a bug) is raised here, after the other has ended."""
    heard: SimpleQueue[tuple[int, Step | BaseException | None]] = SimpleQueue()

    def run(side: int, answering: Answering) -> None:
        last: BaseException | None = None
        try:
            for step in answering():
                heard.put((side, step))
        except Exception as error:  # noqa: BLE001 - raised again by whoever listens
            last = error
        heard.put((side, last))

    threads = [
        threading.Thread(target=run, args=(side, answering), daemon=True)
        for side, answering in enumerate((left, right))
    ]
    for thread in threads:
        thread.start()
    turns: list[Turn | None] = [None, None]
    ids = ["", ""]
    wrong: BaseException | None = None
    waiting = 2
    while waiting:
        side, said = heard.get()
        if isinstance(said, Step):
            turns[side], ids[side] = said.turn, said.request_id
            yield Pair(turns[0], turns[1], (ids[0], ids[1]))
        else:
            waiting -= 1
            wrong = wrong or said
    if wrong:
        raise wrong
