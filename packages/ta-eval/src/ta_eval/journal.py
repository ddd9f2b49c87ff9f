"""The journal: every answer is on the disk before the next is counted, so a killed run goes on where it was.

A line is `{"key": …, "text": …}`. The key is a digest of all that could change the answer, so a journal can
never answer for another model, prompt or setting.
"""

import fcntl
import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ta_eval.target import Reply
from ta_schemas import SetupError


def journal_path(out: Path) -> Path:
    """Beside the artifact, so that it lives on the same disk: `<out>.journal.jsonl`."""
    return out.with_name(f"{out.name}.journal.jsonl")


def request_key(**everything: Any) -> str:
    """A digest of what determines an answer; the order of keys does not matter."""
    canonical = json.dumps(everything, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Journal:
    """Opens (and locks) a journal, offers what it holds, appends replies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replies: dict[str, Reply] = {}

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise SetupError(f"{self.path}: another run writes here: wait or name another --out") from None
        self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, replies: dict[str, Reply]) -> None:
        """Append replies by key and wait until the disk has them."""
        for key, reply in replies.items():
            self._file.write(json.dumps({"key": key, **reply._asdict()}, ensure_ascii=False).encode() + b"\n")
            self.replies[key] = reply
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> None:
        """Lines that cannot be read cost one more request each, no more; a torn last one is cut off."""
        self._file.seek(0)
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(end)
                break
            end += len(line)
            try:
                entry = json.loads(line)
                key = entry.pop("key")
                self.replies[key] = Reply(**entry)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        self._file.seek(0, os.SEEK_END)
