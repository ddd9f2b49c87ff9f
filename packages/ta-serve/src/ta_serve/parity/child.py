"""Work in a process of its own: an assertion of llama.cpp ends the process it happens in."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ta_schemas import InputError

Result = TypeVar("Result")


def in_child(work: Callable[..., Result], *arguments: Any, where: str) -> Result:
    """The result of `work`, a function of a module, or its error. InputError where the child died."""
    context = multiprocessing.get_context("spawn")  # a fork would copy a running OpenMP
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(work, *arguments).result()
        except BrokenProcessPool:
            raise InputError(
                f"{where}: llama.cpp ended its process while using this file: its tokenizer or its numbers do "
                "not hold together"
            ) from None
