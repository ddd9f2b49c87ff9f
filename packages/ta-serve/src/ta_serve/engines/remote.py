"""Engines that are servers elsewhere: one thread with an event loop speaks to them."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from ta_schemas import InputError, SetupError
from ta_serve.config import Settings
from ta_serve.engines.chat_engine import ChatEngine
from ta_serve.engines.check import Refused, check
from ta_serve.engines.protocol import Deliver, Delta, Failed, FailureCode, Finished, Request, Stats, Usage

CONNECT_S = 10.0
"""To reach the server; an answer itself may take as long as its deadline allows."""

MOST_OPEN = 1024

Result = TypeVar("Result")


class RemoteEngine(ChatEngine):
    """Speaks to a server. Subclasses say how: `_answer` and `_find_models`."""

    def __init__(
        self, url: str, *, model: str | None, headers: dict[str, str], settings: Settings | None
    ) -> None:
        """Raises SetupError where no server answers, InputError for a model that it doesn't have."""
        super().__init__(settings)
        try:
            import httpx
        except ImportError:
            raise SetupError("httpx is not installed: install ta-serve[http]") from None
        self.url = url.rstrip("/")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._counted = Usage(0, 0, 0)
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        # A proxy of the environment is not asked: a server named by URL is spoken to itself.
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote-engine", daemon=True)
        self._thread.start()
        try:
            found = self._wait(self._find_models())
            if model is not None and model not in found:
                raise InputError(f"{self.url}: no model {model!r}: it has {', '.join(found) or 'none'}")
            if not found:
                raise SetupError(f"{self.url}: the server has no model")
        except httpx.HTTPError as error:
            self.close()
            raise SetupError(
                f"{self.url}: no such server answers there ({error or type(error).__name__})"
            ) from None
        except BaseException:
            self.close()
            raise
        first = model or found[0]
        self._models = [first, *(name for name in found if name != first)]

    def models(self) -> list[str]:
        """As the server names them, the default first."""
        return list(self._models)

    def submit(self, request: Request, deliver: Deliver) -> None:
        """See `protocol.Engine`."""
        with self._lock:
            failed = None
            if self._closed:
                failed = Failed("closed", "the engine is closed")
            elif request.id in self._tasks:
                failed = Failed("invalid_request", f"a request with id {request.id!r} is running already")
            elif len(self._tasks) >= MOST_OPEN:
                failed = Failed("overloaded", f"{MOST_OPEN} requests are open already")
            else:
                asyncio.run_coroutine_threadsafe(self._begin(request, deliver), self._loop).result()
        if failed:
            deliver(failed)

    def cancel(self, request_id: str) -> None:
        """See `protocol.Engine`. The connection is closed: servers of this kind stop computing then."""
        task = self._tasks.get(request_id)
        if task:
            self._loop.call_soon_threadsafe(task.cancel)

    def count_tokens(self, request: Request) -> int:
        """See `protocol.Engine`: what the server counts for an answer of one token."""

        async def count() -> int:
            short = replace(request, max_tokens=1, json_schema=None)
            async for event in self._checked(short):
                if isinstance(event, Finished):
                    return event.usage.prompt_tokens
            raise SetupError(f"{self.url}: the answer has no end")

        return self._wait(count())

    def stats(self) -> Stats:
        """See `protocol.Engine`. What waits in the server is not known here and counts as running."""
        prompt, completion, cached = self._counted
        return Stats(
            ready=not self._closed,
            running=len(self._tasks),
            waiting=0,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=cached,
        )

    def close(self) -> None:
        """See `protocol.Engine`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._wait(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _begin(self, request: Request, deliver: Deliver) -> None:
        self._tasks[request.id] = asyncio.create_task(self._deliver(request, deliver))

    async def _end_all(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._http.aclose()

    async def _deliver(self, request: Request, deliver: Deliver) -> None:
        import httpx

        last: Finished | Failed = Failed("engine_died", f"{self.url}: the answer has no end")
        try:
            async with asyncio.timeout(request.deadline_s):
                async for event in self._checked(request):
                    if isinstance(event, Finished):
                        last = event
                        self._counted = Usage(*(a + b for a, b in zip(self._counted, event.usage, strict=True)))
                    elif event.text:
                        deliver(event)
        except asyncio.CancelledError:
            last = Finished("cancelled", Usage(0, 0, 0))
            if self._closed:
                last = Failed("closed", "the engine is closed")
        except TimeoutError:
            last = Failed("deadline", f"not done within {request.deadline_s} s")
        except Refused as refused:
            last = refused.event()
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            last = Failed("engine_died", f"{self.url}: {error or type(error).__name__}")
        self._tasks.pop(request.id, None)
        deliver(last)

    def _checked(self, request: Request) -> AsyncIterator[Delta | Finished]:
        check(request)
        name = self._models[0] if request.model == "base" else request.model
        if name not in self._models:
            raise Refused("model_not_found", f"{self.url}: no model {name!r}: it has {', '.join(self._models)}")
        return self._answer(self.with_settings(request), name)

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _answer(self, request: Request, model: str) -> AsyncIterator[Delta | Finished]:
        """Ask the server; the last event is a Finished. Raises Refused, and httpx's errors."""
        raise NotImplementedError

    async def _find_models(self) -> list[str]:
        """Names of the server's models. Raises SetupError, and httpx's errors."""
        raise NotImplementedError


def refusal(status: int, body: str) -> Refused:
    """What a server's error means: OpenAI's `{"error": {"message", "code"}}`, or Ollama's `{"error": "…"}`."""
    message, name = body.strip()[:300], ""
    try:
        error = json.loads(body)["error"]
        message, name = (error, "") if isinstance(error, str) else (error["message"], str(error.get("code")))
    except (ValueError, LookupError, TypeError):
        pass
    code: FailureCode
    if status == 404:
        code = "model_not_found"
    elif status in (429, 503):
        code = "overloaded"
    elif status >= 500:
        code = "engine_died"
    elif "context_length" in name or "context length" in message or "context size" in message:
        code = "context_length_exceeded"
    else:
        code = "invalid_request"
    return Refused(code, f"the server answers {status}: {message}")
