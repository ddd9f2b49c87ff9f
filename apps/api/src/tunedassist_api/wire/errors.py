"""Errors as OpenAI's API gives them: `{"error": {"message", "type", "param", "code"}}`."""

from typing import Any, NamedTuple

from starlette.responses import JSONResponse

from ta_serve.engines.protocol import Failed, FailureCode


class ApiError(Exception):
    """A request that gets no (whole) answer; becomes a response."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.type = type or _type_of(status)
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The JSON that clients parse."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The same as a response."""
        return JSONResponse(self.body(), self.status, headers=self.headers)


class CallerGone(Exception):
    """The client closed its connection; there is nobody to answer."""


class _Kind(NamedTuple):
    status: int
    param: str | None = None
    header: tuple[str, str] | None = None


# openai-python repeats a 504 twice unless told otherwise: the same long answer once more.
_FAILURES: dict[FailureCode, _Kind] = {
    "context_length_exceeded": _Kind(400),
    "model_not_found": _Kind(404, "model"),
    "invalid_request": _Kind(400),
    "overloaded": _Kind(429, header=("retry-after", "1")),
    "deadline": _Kind(504, header=("x-should-retry", "false")),
    "engine_died": _Kind(503, header=("retry-after", "2")),
    "closed": _Kind(503, header=("retry-after", "5")),
}


def from_failure(failed: Failed, *, asked_in: str) -> ApiError:
    """What an engine's failure is over HTTP; `asked_in` is the field that held the prompt."""
    kind = _FAILURES[failed.code]
    param = asked_in if failed.code == "context_length_exceeded" else kind.param
    headers = dict([kind.header] if kind.header else [])
    return ApiError(kind.status, failed.message, code=failed.code, param=param, headers=headers)


def _type_of(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"
