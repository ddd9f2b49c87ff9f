"""A teacher behind an OpenAI-compatible URL: cached on disk, retried, at most so many requests a minute.

Every reply is written to the cache before it is used, so a run that is stopped goes on where it was and no
request is paid for twice.
"""

import hashlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
import msgspec

Messages = list[dict[str, str]]
WAIT_S = 1.0
"""Before the second attempt; doubled each time, and never less than the server's Retry-After."""
RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})


class TeacherError(Exception):
    """No usable reply after all attempts; the message is a reason to be counted."""


class Reply(NamedTuple):
    """What the teacher said."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    cached: bool


@dataclass
class Spent:
    """What a run has cost so far."""

    requests: int = 0
    cached: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class Teacher:
    """Asks for chat completions. Use it as a context manager; `ask` may be called from several threads."""

    url: str
    """Base URL with the version: `http://localhost:8000/v1`."""
    model: str
    cache: Path
    key: str = ""
    timeout_s: float = 120.0
    attempts: int = 4
    per_minute: int = 0
    """Requests a minute; 0: no limit of ours."""
    max_tokens: int = 1024
    temperature: float = 0.7
    spent: Spent = field(default_factory=Spent)

    def __enter__(self) -> Self:
        self._lock, self._pace = threading.Lock(), threading.Lock()
        self._next = 0.0
        self._known = read_cache(self.cache)
        self._file = self.cache.open("ab")
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        self._client = httpx.Client(timeout=self.timeout_s, headers=headers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._file.close()

    def ask(self, messages: Messages, *, number: int = 0) -> Reply:
        """The reply to `messages`; another `number` asks the same again. Raises TeacherError."""
        body = {
            "model": self.model,
            "messages": messages,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": number,
        }
        digest = hashlib.sha256(msgspec.json.encode(body)).hexdigest()
        known = self._known.get(digest)
        if known is not None:
            with self._lock:
                self.spent.cached += 1
            return Reply(known["text"], known["prompt_tokens"], known["completion_tokens"], True)
        text, usage = self._request(body)
        record = {"key": digest, "text": text, **usage}
        with self._lock:
            self._known[digest] = record
            self._file.write(msgspec.json.encode(record) + b"\n")
            self._file.flush()
            self.spent.requests += 1
            self.spent.prompt_tokens += usage["prompt_tokens"]
            self.spent.completion_tokens += usage["completion_tokens"]
        return Reply(text, usage["prompt_tokens"], usage["completion_tokens"], False)

    def _request(self, body: dict[str, Any]) -> tuple[str, dict[str, int]]:
        reason, after = "", 0.0
        for attempt in range(self.attempts):
            if attempt:
                with self._lock:
                    self.spent.retries += 1
                time.sleep(max(WAIT_S * 2 ** (attempt - 1), after))
            after = 0.0
            self._keep_pace()
            try:
                response = self._client.post(f"{self.url.rstrip('/')}/chat/completions", json=body)
            except httpx.TimeoutException:
                reason = "teacher: timed out"
                continue
            except httpx.HTTPError as error:
                reason = f"teacher: no connection ({type(error).__name__})"
                continue
            if response.status_code in RETRIED:
                reason = f"teacher: HTTP {response.status_code}"
                told = response.headers.get("retry-after", "")
                after = float(told) if told.replace(".", "", 1).isdecimal() else 0.0
                continue
            if response.status_code != 200:
                raise TeacherError(f"teacher: HTTP {response.status_code}")
            try:
                content = msgspec.json.decode(response.content)
                text = content["choices"][0]["message"]["content"]
                usage = content.get("usage") or {}
            except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError):
                reason = "teacher: the reply is no chat completion"
                continue
            if isinstance(text, str):
                return text, {k: int(usage.get(k) or 0) for k in ("prompt_tokens", "completion_tokens")}
            reason = "teacher: the reply is no chat completion"
        raise TeacherError(reason)

    def _keep_pace(self) -> None:
        if not self.per_minute:
            return
        with self._pace:
            now = time.monotonic()
            wait = self._next - now
            self._next = max(now, self._next) + 60 / self.per_minute
        if wait > 0:
            time.sleep(wait)


def read_cache(file: Path) -> dict[str, dict[str, Any]]:
    """The replies of earlier runs; a last line that was cut off is passed over."""
    known: dict[str, dict[str, Any]] = {}
    if file.is_file():
        with file.open("rb") as stream:
            for line in stream:
                try:
                    record = msgspec.json.decode(line)
                    known[record["key"]] = record
                except (msgspec.DecodeError, KeyError, TypeError):
                    continue
    return known
