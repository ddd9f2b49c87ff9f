"""What is attacked: a server that speaks OpenAI chat completions, or a callable an app hands over."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ta_schemas.errors import InputError, SetupError

Messages = list[dict[str, str]]


class Reply(NamedTuple):
    """An answer; `finish_reason` is `content_filter` where the server's own guard blocked it."""

    text: str
    finish_reason: str = "stop"


Answer = Callable[[Messages], Reply]


class Server:
    """`POST {base_url}/chat/completions`. Call it with messages; threads may share it.

    Raises SetupError where the server cannot be reached or refuses: what was asked before is kept by the scan.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        max_tokens: int = 256,
        timeout_s: float = 120.0,
        api_key_env: str = "",
    ) -> None:
        import httpx

        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"base URL {base_url!r}: expected something like http://127.0.0.1:8080/v1")
        key = os.environ.get(api_key_env or "OPENAI_API_KEY")
        if api_key_env and not key:
            raise SetupError(f"environment variable {api_key_env} is not set: it should hold the API key")
        self.base_url = base_url.rstrip("/").removesuffix("/chat/completions")
        self.body = {"model": model, "max_tokens": max_tokens, "temperature": 0.0}
        self.client = httpx.Client(timeout=timeout_s, headers={"Authorization": f"Bearer {key or 'none'}"})

    def __call__(self, messages: Messages) -> Reply:
        """One answer; a lost connection is tried three times."""
        import httpx

        last: Exception | None = None
        for _ in range(3):
            try:
                response = self.client.post(
                    f"{self.base_url}/chat/completions", json={**self.body, "messages": messages}
                )
            except httpx.TransportError as error:
                last = error
                continue
            if response.status_code in (429, 500, 502, 503, 504):
                last = SetupError(f"HTTP {response.status_code}")
                continue
            return self._reply(response)
        raise SetupError(
            f"{self.base_url}: no answer ({last}): is the server running? The same command goes on later"
        )

    def _reply(self, response: Any) -> Reply:
        try:
            body = response.json()
            if response.status_code == 400 and "content_filter" in response.text:
                return Reply("", "content_filter")
            choice = body["choices"][0]
            return Reply(choice["message"]["content"] or "", choice.get("finish_reason") or "stop")
        except (ValueError, KeyError, IndexError, TypeError):
            detail = response.text[:200]
            raise SetupError(
                f"{self.base_url}: HTTP {response.status_code}, no chat completion: {detail}"
            ) from None
