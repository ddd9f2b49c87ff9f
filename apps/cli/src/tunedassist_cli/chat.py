"""`tunedassist chat`: talk to an artifact on this machine or to a server."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ta_schemas import InputError, SetupError
from tunedassist_cli.pipeline import installed


def chat(
    target: str,
    *,
    message: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    model: str | None,
    api_key_env: str,
    as_json: bool = False,
) -> None:
    """Answer one message, or converse until the input ends; `as_json` prints the one answer as an object.

    Raises InputError for options that do not fit, SetupError where a stage is not installed or no server
    answers.
    """
    with installed("serve"):
        from ta_serve.chat import ask_once, converse
    given = {"max_tokens": max_tokens, "temperature": temperature}
    options = {key: value for key, value in given.items() if value is not None}
    if target.startswith(("http://", "https://")):
        if model is None:
            raise InputError(f"{target}: which model? pass --model NAME")
        server = Server(target, model, api_key_env, options)
        answer, prompt, name = server.stream, system or "", f"{model} at {target}"
    else:
        if model is not None:
            raise InputError(f"--model {model}: only with a URL: {target} holds one model")
        answer, tuned_prompt = _local(Path(target), options)
        prompt, name = tuned_prompt if system is None else system, target
    if as_json:
        if message is None:
            raise InputError("--json: only with --message: a conversation is no result")
        opening = [{"role": "system", "content": prompt}] if prompt else []
        text = "".join(answer([*opening, {"role": "user", "content": message}]))
        print(json.dumps({"answer": text, "model": name}, ensure_ascii=False))
    elif message is None:
        converse(answer, system=prompt, name=name)
    else:
        ask_once(answer, message, system=prompt)


def _local(path: Path, options: dict[str, Any]) -> tuple[Any, str]:
    """The stream of an engine over `path`, and the system prompt that the model was tuned with."""
    from ta_serve.open import open_engine

    engine = open_engine(path)
    defaults = engine.settings.generation
    asking = {"max_tokens": defaults.max_tokens, "temperature": defaults.temperature} | options

    def stream(messages: list[dict[str, str]]) -> Iterator[str]:
        pieces: Iterator[str] = engine.stream(messages, **asking)
        return pieces

    return stream, engine.settings.system_prompt


class Server:
    """A server that speaks OpenAI chat completions."""

    def __init__(self, base_url: str, model: str, api_key_env: str, options: dict[str, Any]) -> None:
        try:
            import openai
        except ImportError:
            raise SetupError("openai is not installed: install tunedassist-cli[chat]") from None
        key = os.environ.get(api_key_env) or "none"  # most local servers ask for none
        self.url, self.model, self.options = base_url, model, options
        self.client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=1)

    def stream(self, messages: list[dict[str, str]]) -> Iterator[str]:
        """The pieces of an answer. Raises SetupError (no server) and InputError (it refuses)."""
        import openai

        asked: Any = messages
        try:
            with self.client.chat.completions.create(
                model=self.model, messages=asked, stream=True, **self.options
            ) as chunks:
                for chunk in chunks:
                    if chunk.choices and chunk.choices[0].delta.content:
                        yield chunk.choices[0].delta.content
        except openai.APIStatusError as error:
            raise InputError(f"{self.url}: {error.status_code}: {error.message}") from None
        except openai.APIConnectionError:
            raise SetupError(f"{self.url}: no server answers there: is it running?") from None
