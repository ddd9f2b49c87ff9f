"""Ollama's native API. Unlike its `/v1` it takes top_k, and schemas as they are.

Specification: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import json
from collections.abc import AsyncIterator
from typing import Any

from ta_schemas import SetupError
from ta_serve.config import Settings
from ta_serve.engines.protocol import Delta, Finished, Request, Usage
from ta_serve.engines.remote import RemoteEngine, refusal


class OllamaEngine(RemoteEngine):
    """`url` such as http://127.0.0.1:11434. How long a prompt may be, Ollama's `num_ctx` decides, silently."""

    def __init__(self, url: str, *, model: str | None = None, settings: Settings | None = None) -> None:
        """Ask which models there are. Raises SetupError (no server), InputError (no such model)."""
        if model is not None and ":" not in model:
            model = f"{model}:latest"
        super().__init__(url, model=model, headers={}, settings=settings)

    async def _find_models(self) -> list[str]:
        found = await self._http.get(f"{self.url}/api/tags")
        try:
            return [str(model["name"]) for model in found.raise_for_status().json()["models"]]
        except (ValueError, LookupError, TypeError):
            raise SetupError(f"{self.url}/api/tags: not Ollama's list of models") from None

    async def _answer(self, request: Request, model: str) -> AsyncIterator[Delta | Finished]:
        path = "chat" if request.messages is not None else "generate"
        async with self._http.stream("POST", f"{self.url}/api/{path}", json=_body(request, model)) as reply:
            if reply.status_code != 200:
                raise refusal(reply.status_code, (await reply.aread()).decode("utf-8", "replace"))
            async for line in reply.aiter_lines():
                if not line.strip():
                    continue
                chunk = json.loads(line)
                if "error" in chunk:  # in the midst of an answer: the status was 200 already
                    raise refusal(500, line)
                yield Delta(chunk.get("response") or (chunk.get("message") or {}).get("content") or "")
                if chunk.get("done"):
                    usage = Usage(chunk.get("prompt_eval_count", 0), chunk.get("eval_count", 0), 0)
                    yield Finished("length" if chunk.get("done_reason") == "length" else "stop", usage)
                    return


def _body(request: Request, model: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "repeat_penalty": 1.0,  # Ollama's own default punishes what a prompt says
        "num_predict": -1 if request.max_tokens is None else request.max_tokens,
        "stop": list(request.stop),
    }
    if request.seed is not None:
        options["seed"] = request.seed
    body: dict[str, Any] = {"model": model, "stream": True, "options": options}
    if request.messages is not None:
        body["messages"] = request.messages
    else:
        body |= {"prompt": request.prompt, "raw": True}
    if request.json_schema is not None:
        body["format"] = request.json_schema or "json"
    return body
