"""Everything that goes wrong, in OpenAI's format."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from tunedassist_api.wire.answers import ErrorBody
from tunedassist_api.wire.errors import ApiError

_LONGEST = 500


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document."""
    return {status: {"model": ErrorBody} for status in statuses}


def handle_errors(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> JSONResponse:
        request.state.log["code"] = error.code
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            message = f"the body is not valid JSON: {first['ctx']['error']} at character {first['loc'][-1]}"
            return ApiError(400, message, code="invalid_json").response()
        first = _deepest_branch(list(error.errors()))
        path = [str(part) for part in first["loc"][1:] if not _is_branch(part)]
        what = first["msg"].removeprefix("Value error, ")
        where = _plain(".".join(path))
        message = _plain(f"{where}: {what}" if where else what)
        return ApiError(400, message, param=where or None).response()

    @app.exception_handler(HTTPException)
    async def by_status(request: Request, error: HTTPException) -> JSONResponse:
        path = _plain(request.url.path)
        headers = dict(error.headers or {})
        if error.status_code == 404:
            return ApiError(404, f"unknown path {path}", code="unknown_url").response()
        if error.status_code == 405:
            message = f"{request.method} is not possible on {path}"
            return ApiError(405, message, code="method_not_allowed", headers=headers).response()
        # FastAPI's word for what json.loads raises besides a syntax error: not UTF-8, too deep, huge numbers.
        return ApiError(
            error.status_code,
            "the body cannot be parsed: not UTF-8, nested too deep or with too large a number",
            code="invalid_json",
            headers=headers,
        ).response()


def _deepest_branch(errors: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a union pydantic reports each branch: the one that got furthest is what the caller meant."""
    first = errors[0]
    at = next((n for n, part in enumerate(first["loc"]) if _is_branch(part)), None)
    if at is None:
        return first
    return max((e for e in errors if e["loc"][:at] == first["loc"][:at]), key=lambda e: len(e["loc"]))


def _is_branch(part: str | int) -> bool:
    """Pydantic's name of a union's branch in a path, such as `list[TextPart]`: no field."""
    return str(part).endswith("]") or part in ("str", "constrained-str")


def _plain(text: str) -> str:
    """Short, and without lone surrogates, which no JSON encoder of UTF-8 takes."""
    return text[:_LONGEST].encode("utf-8", "backslashreplace").decode()
