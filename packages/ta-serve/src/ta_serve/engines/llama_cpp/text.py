"""From the bytes of tokens to text that may be shown: whole characters, nothing of a stop string."""

import codecs
from collections.abc import Sequence


class AnswerText:
    """The text of one answer as it grows."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = [text for text in stop if text]
        self._held = ""
        self.stopped = False
        """Whether a stop string has come; nothing may be added then."""

    def add(self, piece: bytes) -> str:
        """Take the bytes of a token; give what has become certain, which may be nothing."""
        return self._settle(self._decoder.decode(piece))

    def end(self) -> str:
        """The rest; bytes that never became a character are U+FFFD."""
        if self.stopped:
            return ""
        rest = self._settle(self._decoder.decode(b"", final=True))
        if not self.stopped:
            rest += self._held
        self._held = ""
        return rest

    def _settle(self, more: str) -> str:
        self._held += more
        if not self._stop:
            settled, self._held = self._held, ""
            return settled
        found = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.stopped = True
            return self._held[: min(found)]
        keep = max(_overlap(self._held, stop) for stop in self._stop)
        at = len(self._held) - keep
        settled, self._held = self._held[:at], self._held[at:]
        return settled


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` begin `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
