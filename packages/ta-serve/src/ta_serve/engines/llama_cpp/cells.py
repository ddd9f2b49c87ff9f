"""How full the cache is: one cell a token, shared by the sequences that begin alike."""

from collections.abc import Sequence


class Ledger:
    """Counts who uses which cell, as llama.cpp does in a unified cache, where it cannot be asked."""

    def __init__(self, size: int) -> None:
        self._users = [0] * size
        self._free = list(range(size - 1, -1, -1))

    @property
    def free(self) -> int:
        """Cells that nobody uses."""
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """Use `count` free cells; there must be as many."""
        if count > self.free:
            raise ValueError(f"{count} cells wanted, {self.free} free")
        taken = [self._free.pop() for _ in range(count)]
        for cell in taken:
            self._users[cell] = 1
        return taken

    def share(self, cells: Sequence[int]) -> None:
        """One more uses these."""
        for cell in cells:
            self._users[cell] += 1

    def release(self, cells: Sequence[int]) -> None:
        """One less uses these; what nobody uses any more is free again."""
        for cell in cells:
            self._users[cell] -= 1
            if not self._users[cell]:
                self._free.append(cell)
