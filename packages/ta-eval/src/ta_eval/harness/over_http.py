"""A server as an lm-eval model. Imported only where lm-eval is installed.

lm-eval's own HTTP models give a run up after a few 429s (Retry-After is not read) and believe any
log-probability; this one asks through HttpTarget and probes first.
"""

import json
import os
from typing import Any

from lm_eval.api.model import LM  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ta_eval.harness.probe import complete, probe
from ta_eval.http_target import HttpTarget
from ta_eval.target import Failure, Reply
from ta_schemas import SetupError


class OverHttp(LM):  # type: ignore[misc,unused-ignore]
    """Answers through chat completions, choices through the echoed log-probabilities of completions."""

    tokenizer_name = ""

    def __init__(self, target: HttpTarget, api_key_env: str = "") -> None:
        super().__init__()
        self.target = target
        self.key = os.environ.get(api_key_env or "OPENAI_API_KEY") or "none"

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The messages as JSON: the server applies the template."""
        return json.dumps(chat_history, ensure_ascii=False)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """One chat completion a request. SetupError where one fails for good."""
        replies: dict[int, Reply | Failure] = {}
        settings = requests[0].args[1]
        self.target.ask(
            [_messages(request.args[0]) for request in requests],
            replies.update,
            max_tokens=int(settings.get("max_gen_toks", 256)),
            temperature=float(settings.get("temperature", 0.0)),
        )
        failed = [reply for reply in replies.values() if isinstance(reply, Failure)]
        if failed:
            raise SetupError(f"{len(failed)} of {len(requests)} items failed; first: {failed[0].message}")
        return [reply.text for at in range(len(requests)) if isinstance(reply := replies[at], Reply)]

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Sum of the continuation's token log-probabilities. SetupError where the server tells them wrong."""
        import httpx

        base_url, model = self.target.base_url, self.target.model
        headers = {"authorization": f"Bearer {self.key}"}
        with httpx.Client(headers=headers, timeout=self.target.timeout_s) as client:
            found = probe(client, base_url, model)
            if not found.ok:
                raise SetupError(f"{base_url}: no log-likelihood task on this server: {found.reason}")
            return [_score(client, base_url, model, *request.args) for request in requests]

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Not offered over HTTP."""
        raise SetupError("perplexity tasks need the model folder itself: pass --model-folder")


def _messages(context: str) -> list[dict[str, str]]:
    """What apply_chat_template made; plain text where lm-eval was told to use no template."""
    if context.startswith("[{"):
        messages: list[dict[str, str]] = json.loads(context)
        return messages
    return [{"role": "user", "content": context}]


def _score(client: Any, base_url: str, model: str, context: str, continuation: str) -> tuple[float, bool]:
    echo = complete(client, base_url, model, context + continuation, max_tokens=1, echo=True)
    at, total, counted = 0, 0.0, 0
    end = len(context) + len(continuation)
    for token, logprob in zip(echo.tokens, echo.logprobs, strict=True):
        if len(context) <= at < end:
            total += logprob or 0.0
            counted += 1
        at += len(token)
    if not counted:
        raise SetupError(f"{base_url}: the tokens echoed do not spell the prompt: it cannot score choices")
    return total, False
