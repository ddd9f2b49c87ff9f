"""Who may ask, and how often: decided on the headers, before the body is read."""

import math

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunedassist_api.service import Service
from tunedassist_api.wire.errors import ApiError

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Access:
    """Checks the key and takes from the caller's rate limit."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 401, 403 or 429, or let through with the limit's headers."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        try:
            limits = self._check(scope)
        except ApiError as error:
            await error.response()(scope, receive, send)
            return

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(limits)
            await send(message)

        await self.app(scope, receive, send_with_limits if limits else send)

    def _check(self, scope: Scope) -> dict[str, str]:
        headers = Headers(scope=scope)
        service, per_minute = self.service, self.service.config.requests_per_minute
        if service.keys.is_open:
            self._check_host(headers)
            caller = f"address {scope['client'][0]}" if scope.get("client") else "address unknown"
        else:
            kind, _, presented = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not presented.strip():
                raise _unauthorized("No API key: send the header 'Authorization: Bearer KEY'.")
            key = service.keys.find(presented.strip())
            if key is None:
                raise _unauthorized("Incorrect API key.")
            if key.requests_per_minute is not None:
                per_minute = key.requests_per_minute
            caller = f"key {key.name}"
            scope["state"]["log"]["key"] = key.name
        if not per_minute or not scope["path"].startswith("/v1/"):
            return {}
        taken = service.rate_limit.take(caller, per_minute)
        limits = {
            "x-ratelimit-limit-requests": str(per_minute),
            "x-ratelimit-remaining-requests": str(taken.remaining),
        }
        if not taken.ok:
            raise ApiError(
                429,
                f"more than {per_minute} requests a minute: try again in {taken.retry_after_s} s",
                code="rate_limit_exceeded",
                headers={**limits, "retry-after": str(math.ceil(taken.retry_after_s))},
            )
        return limits

    def _check_host(self, headers: Headers) -> None:
        """Without keys a web page could reach a loopback server under a name of its own (DNS rebinding)."""
        if not self.service.config.is_loopback:
            return
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name not in _LOCAL_NAMES and not name.startswith("127."):
            raise ApiError(
                403,
                "without API keys only localhost may be named in the Host header: set up keys",
                code="host_not_allowed",
            )


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"www-authenticate": "Bearer"})
