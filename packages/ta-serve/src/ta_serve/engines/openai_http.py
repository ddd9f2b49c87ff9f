"""Any server with OpenAI's chat completions: vLLM, llama-server, Ollama's `/v1`, our own API app.

Specification: https://platform.openai.com/docs/api-reference/chat
"""

import json
from collections.abc import AsyncIterator
from typing import Any

from ta_schemas import InputError, SetupError
from ta_serve.config import Settings
from ta_serve.engines.protocol import Delta, Finished, Reason, Request, Usage
from ta_serve.engines.remote import RemoteEngine, refusal


class OpenAiHttpEngine(RemoteEngine):
    """`url` up to and with `/v1`."""

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Ask which models there are. Raises SetupError (no server), InputError (no such model, wrong key)."""
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        super().__init__(url, model=model, headers=headers, settings=settings)

    async def _find_models(self) -> list[str]:
        found = await self._http.get(f"{self.url}/models")
        if found.status_code in (401, 403):
            raise InputError(f"{self.url}: the server wants an API key, or another one ({found.status_code})")
        try:
            return [str(model["id"]) for model in found.raise_for_status().json()["data"]]
        except (ValueError, LookupError, TypeError):
            raise SetupError(f"{self.url}/models: not OpenAI's list of models") from None

    async def _answer(self, request: Request, model: str) -> AsyncIterator[Delta | Finished]:
        path = "chat/completions" if request.messages is not None else "completions"
        reason: Reason = "stop"
        usage = Usage(0, 0, 0)
        async with self._http.stream("POST", f"{self.url}/{path}", json=_body(request, model)) as reply:
            if reply.status_code != 200:
                raise refusal(reply.status_code, (await reply.aread()).decode("utf-8", "replace"))
            async for line in reply.aiter_lines():
                data = line.removeprefix("data:").strip()
                if data == line.strip() or not data:
                    continue  # a comment, an event name, the empty line between events
                if data == "[DONE]":
                    yield Finished(reason, usage)
                    return
                chunk = json.loads(data)
                if "error" in chunk:
                    raise refusal(500, data)
                for choice in chunk.get("choices") or []:
                    yield Delta(choice.get("text") or (choice.get("delta") or {}).get("content") or "")
                    reason = "length" if choice.get("finish_reason") == "length" else reason
                usage = _usage(chunk.get("usage")) or usage


def _body(request: Request, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": request.temperature,
        "top_p": request.top_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    if request.messages is not None:
        body["messages"] = request.messages
    else:
        body["prompt"] = request.prompt
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.seed is not None:
        body["seed"] = request.seed
    if request.stop:
        body["stop"] = list(request.stop)
    if request.top_k:
        body["top_k"] = request.top_k  # not OpenAI's own; vLLM and llama-server take it
    if request.json_schema == {}:
        body["response_format"] = {"type": "json_object"}
    elif request.json_schema is not None:
        schema = {"name": "answer", "schema": request.json_schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _usage(told: dict[str, Any] | None) -> Usage | None:
    if not told:
        return None
    cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(int(told.get("prompt_tokens", 0)), int(told.get("completion_tokens", 0)), int(cached))
