"""Bodies: JSON only, bounded while they arrive, whole before anything parses them."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunedassist_api.wire.errors import ApiError, CallerGone

_ARRIVAL_S = 30.0
_LINGER_S = 5.0
_LINGER_BYTES = 256 * 1024 * 1024


class BoundedBody:
    """Reads the body itself and hands it on in one piece."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413, 415 or 408 without reading further, or go on."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_size(int(headers.get("content-length", "0")))
            body = await self._read(receive)
            if body:
                _check_type(headers)
        except ApiError as error:
            await _answer_and_linger(error, receive, send)
            return
        message: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def receive_again() -> Message:
            nonlocal message
            if message is None:
                return await receive()
            read, message = message, None
            return read

        await self.app(scope, receive_again, send)

    async def _read(self, receive: Receive) -> bytes:
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_ARRIVAL_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise CallerGone
                    size += len(message.get("body", b""))
                    self._check_size(size)
                    pieces.append(message.get("body", b""))
                    if not message.get("more_body", False):
                        return b"".join(pieces)
        except TimeoutError:
            raise ApiError(
                408, f"the body did not arrive within {_ARRIVAL_S:g} s", code="body_timeout"
            ) from None

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise ApiError(413, f"the body is larger than {self.max_bytes} bytes", code="request_too_large")


def _check_type(headers: Headers) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(
            415,
            f"the content type is {kind[:100] or 'missing'!r}, expected application/json",
            code="unsupported_media_type",
        )
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise ApiError(
            415, f"content-encoding {encoding[:100]!r}: send the body as it is", code="unsupported_encoding"
        )


async def _answer_and_linger(error: ApiError, receive: Receive, send: Send) -> None:
    """Answer at once, then read on for a while before closing: a client that is still sending would see a
    reset connection instead of the answer."""
    error.headers["connection"] = "close"
    response = error.response()
    await send({"type": "http.response.start", "status": error.status, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    left = _LINGER_BYTES
    try:
        async with asyncio.timeout(_LINGER_S):
            more = True
            while more and left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                more = message["type"] == "http.request" and message.get("more_body", False)
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
