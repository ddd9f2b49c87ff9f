"""HttpTarget: asks an OpenAI-compatible server, many questions at a time, and takes no for "later"."""

import email.utils
import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ta_eval.target import Failure, Message, OnReplies, Reply
from ta_schemas import InputError, SetupError

LONGEST_WAIT_S = 300.0
"""A server that says "come back in an hour" is not waited for: the item fails and a rerun asks it again."""


class HttpTarget:
    """A server that speaks `POST {base_url}/chat/completions`.

    429, 5xx, timeouts and broken connections are tried again up to `attempts` times, after what Retry-After
    says or, without it, 0.5 s, 1 s, 2 s ... (with jitter). A 429 that says when to come back is obeyed four
    times as often: at 20 % of them one item in 3,000 meets five in a row. Without an environment variable
    `api_key_env` the key is "none", which local servers take.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        model: str,
        api_key_env: str = "",
        concurrency: int = 8,
        *,
        attempts: int = 5,
        timeout_s: float = 120.0,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"base URL {base_url!r}: expected something like http://127.0.0.1:8080/v1")
        key = os.environ.get(api_key_env or "OPENAI_API_KEY")
        if api_key_env and not key:
            raise SetupError(f"environment variable {api_key_env} is not set: it should hold the API key")
        self.name = name
        self.model = model
        self.base_url = base_url.rstrip("/").removesuffix("/chat/completions")
        # A password in the address must not reach the manifest.
        bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self.identity: dict[str, Any] = {
            "base_url": bare.rstrip("/").removesuffix("/chat/completions"),
            "model": model,
        }
        self.concurrency = concurrency
        self.attempts = attempts
        self.timeout_s = timeout_s
        self._api_key = key or "none"
        self._answered = False
        self._lost = 0
        """Items lost to broken connections since the last answer."""

    def ask(
        self, conversations: Sequence[list[Message]], done: OnReplies, *, max_tokens: int, temperature: float
    ) -> None:
        """Ask all with at most `concurrency` in flight; SetupError where no server or no model is there."""
        import asyncio

        asyncio.run(self._ask_all(conversations, done, max_tokens=max_tokens, temperature=temperature))

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of texts, by `POST {base_url}/embeddings`. SetupError where the server fails for good."""
        import asyncio

        async def once() -> Any:
            async with self._client() as client:
                body = {"model": self.model, "input": list(texts)}
                return await self._insist(
                    client, "embeddings", body, lambda content: _vectors(content, len(texts))
                )

        found = asyncio.run(once())
        if isinstance(found, Failure):
            raise SetupError(f"{self.identity['base_url']}: embeddings: {found.reason}: {found.message}")
        return found  # type: ignore[no-any-return]

    async def _ask_all(self, conversations: Sequence[list[Message]], done: OnReplies, **settings: Any) -> None:
        import asyncio

        client = self._client()
        waiting = iter(enumerate(conversations))

        async def worker() -> None:
            for position, messages in waiting:
                body = {"model": self.model, "messages": messages, **settings}
                done({position: await self._insist(client, "chat/completions", body, _reply)})

        async with client:
            tasks = [asyncio.create_task(worker()) for _ in range(min(self.concurrency, len(conversations)))]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _client(self) -> Any:
        import httpx

        return httpx.AsyncClient(
            headers={"authorization": f"Bearer {self._api_key}"},
            timeout=self.timeout_s,
            limits=httpx.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency),
        )

    async def _insist(
        self, client: Any, page: str, body: dict[str, Any], read: Callable[[bytes], Any]
    ) -> Any | Failure:
        """One request, tried up to `attempts` times; what `read` makes of the answer."""
        import asyncio

        failure = Failure("error", "")
        left, most = self.attempts, 4 * self.attempts
        for attempt in range(most):
            wait_s = min(0.5 * 2**attempt, 30.0) * random.uniform(0.8, 1.2)
            found, retry_after = await self._try(client, page, body, read)
            if not isinstance(found, Failure):
                self._answered, self._lost = True, 0
                return found
            failure = found
            if retry_after is None:
                return failure
            wait_s = _retry_after_s(retry_after, otherwise=wait_s)
            if wait_s > LONGEST_WAIT_S:
                return Failure(failure.reason, f"server asks to wait {wait_s:.0f} s: {failure.message}")
            left -= not (failure.reason == "http 429" and retry_after)
            if not left or attempt + 1 == most:
                break
            await asyncio.sleep(wait_s)
        if failure.reason == "connection":
            self._refuse_when_gone(failure.message)
        return failure

    async def _try(
        self, client: Any, page: str, body: dict[str, Any], read: Callable[[bytes], Any]
    ) -> tuple[Any | Failure, str | None]:
        """One request. Beside a failure stands its Retry-After; None: there is no use in trying again."""
        import httpx

        try:
            response = await client.post(f"{self.base_url}/{page}", json=body)
        except httpx.TimeoutException:
            return Failure("timeout", f"no answer within {self.timeout_s:g} s"), ""
        except httpx.TransportError as error:
            return Failure("connection", f"connection failed: {error or type(error).__name__}"), ""
        status = response.status_code
        if status < 300:
            return read(response.content), ""
        message = f"Error code: {status} - {response.text[:500]}"
        self._refuse_hopeless(status, message)
        passing = status in (408, 409, 429) or status >= 500
        retry_after: str = response.headers.get("retry-after", "")
        return Failure(f"http {status}", message), retry_after if passing else None

    def _refuse_hopeless(self, status: int, message: str) -> None:
        """What no item can pass: a wrong key, address or model. Nothing is gained by asking all of them."""
        where = self.identity["base_url"]
        if status in (401, 403):
            raise SetupError(f"{where}: refused the API key ({status}): set it in the environment: {message}")
        if status == 404 and not self._answered:
            raise SetupError(
                f"{where}: nothing there (404): is {self.model!r} the model, does the URL end in /v1?"
            )

    def _refuse_when_gone(self, message: str) -> None:
        """A server that never answered, or has died, is not tried for every item."""
        self._lost += 1
        if not self._answered or self._lost >= max(3, self.concurrency):
            raise SetupError(f"{self.identity['base_url']}: {message}: is the server running?")


def _reply(content: bytes) -> Reply | Failure:
    """What a chat completion says, or why it is none."""
    try:
        completion = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Failure("not a completion", f"the server's answer is not JSON: {error}")
    try:
        choice = completion["choices"][0]
        text, reason = choice["message"].get("content"), choice.get("finish_reason")
        usage = completion.get("usage") or {}
        tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return Failure(
            "not a completion", f"the server sent no choices: {content[:200].decode(errors='replace')}"
        )
    return Reply(text or "", reason or "", *tokens)


def _vectors(content: bytes, count: int) -> list[list[float]] | Failure:
    """What an embeddings answer holds, in the order of the texts."""
    try:
        data = sorted(msgspec.json.decode(content)["data"], key=lambda entry: entry["index"])
        vectors = [[float(value) for value in entry["embedding"]] for entry in data]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        return Failure("not embeddings", f"{type(error).__name__}: {error}")
    if len(vectors) != count or len({len(vector) for vector in vectors}) > 1:
        return Failure("not embeddings", f"{len(vectors)} vectors for {count} texts")
    return vectors


def _retry_after_s(value: str, *, otherwise: float) -> float:
    """Seconds to wait: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3)."""
    try:
        return max(0.0, float(value))
    except ValueError:
        date = email.utils.parsedate_tz(value)
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else otherwise
