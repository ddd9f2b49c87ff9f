"""What every engine refuses before it computes anything."""

from ta_schemas import InputError
from ta_serve.engines.protocol import Failed, FailureCode, Request

MOST_STOP_STRINGS = 16


class Refused(InputError):
    """A request that gets no answer; its code goes into the Failed event."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    def event(self) -> Failed:
        """The event that says so."""
        return Failed(self.code, str(self))


def check(request: Request) -> None:
    """Raise Refused(invalid_request) for values that no engine can follow."""
    if (request.messages is None) == (request.prompt is None):
        raise Refused("invalid_request", "expected messages or a prompt, exactly one of them")
    if request.messages is not None:
        _check_messages(request.messages)
    bounds = (
        ("max_tokens", request.max_tokens is None or request.max_tokens >= 1, "at least 1"),
        ("temperature", 0 <= request.temperature <= 100, "0 to 100"),
        ("top_p", 0 < request.top_p <= 1, "above 0, at most 1"),
        ("top_k", request.top_k >= 0, "at least 0"),
        ("presence_penalty", abs(request.presence_penalty) <= 100, "-100 to 100"),
        ("frequency_penalty", abs(request.frequency_penalty) <= 100, "-100 to 100"),
        ("deadline_s", request.deadline_s is None or request.deadline_s > 0, "above 0"),
    )
    for name, fits, expected in bounds:
        if not fits:
            raise Refused("invalid_request", f"{name} {getattr(request, name)}: expected {expected}")
    if len(request.stop) > MOST_STOP_STRINGS:
        raise Refused("invalid_request", f"stop: {len(request.stop)} strings, at most {MOST_STOP_STRINGS}")


def _check_messages(messages: object) -> None:
    fits = isinstance(messages, list) and all(
        isinstance(message, dict)
        and {"role", "content"} <= set(message)
        and all(isinstance(value, str) for value in message.values())
        for message in messages
    )
    if not fits or not messages:
        raise Refused("invalid_request", "messages: expected at least one, each with role and content as text")
