"""Server-sent events, as OpenAI streams them."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Send

from tunedassist_api.wire.errors import CallerGone

_SEND_TIMEOUT_S = 30.0  # a caller that reads nothing for so long has gone
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}  # nginx would hold chunks back


class EventStream:
    """Writes one answer; the status line goes out with the first event."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self._encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    async def write(self, body: dict[str, Any]) -> None:
        """One event. Raises CallerGone where the caller does not read."""
        await self._put(f"data: {self._encode(body)}\n\n".encode(), more=True)

    async def close(self) -> None:
        """The end."""
        await self._put(b"data: [DONE]\n\n", more=True)
        await self._put(b"", more=False)

    async def _put(self, data: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                if not self.started:
                    self.started = True
                    start = Response(media_type="text/event-stream", headers=_HEADERS)
                    headers = [pair for pair in start.raw_headers if pair[0] != b"content-length"]
                    await self._send({"type": "http.response.start", "status": 200, "headers": headers})
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError:
            raise CallerGone from None
