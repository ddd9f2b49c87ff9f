"""Outermost: the request's id, its log line, its metrics, and an answer for whatever nobody caught."""

import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunedassist_api.logs import event
from tunedassist_api.metrics import Metrics
from tunedassist_api.wire.errors import ApiError, CallerGone

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_QUIET = ("/healthz", "/readyz", "/metrics")  # asked every few seconds


class RequestContext:
    """Gives each request `scope["state"]["log"]`, a dict whose fields end in its log line."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 500 where the application raised before it answered; log and count in any case."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.monotonic()
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        log: dict[str, Any] = {}
        scope.setdefault("state", {})["log"] = log
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except CallerGone:
            status = 499  # nginx's number for a client that closed the connection
        except Exception as error:  # noqa: BLE001 - logged, and the server goes on
            event("bug", level=logging.ERROR, error=error, request_id=request_id)
            if status:
                raise _Torn from None
            failure = ApiError(500, "the server failed; its log has the request id", code="internal_error")
            await failure.response()(scope, receive, send_with_id)
        finally:
            seconds = time.monotonic() - started
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.observe_request(route, status, seconds)
            if route not in _QUIET:
                event(
                    "request",
                    request_id=request_id,
                    method=scope["method"],
                    route=route,
                    status=status,
                    ms=round(seconds * 1000),
                    **log,
                )


class _Torn(Exception):
    """The answer had begun, so the connection must be cut: a client must not take it for whole."""
