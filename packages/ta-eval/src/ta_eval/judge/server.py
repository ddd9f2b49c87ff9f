"""Which judge is asked; without one, one line that says what to set."""

import os
from urllib.parse import urlsplit

from ta_eval.judge.ladder import JudgeServer
from ta_schemas import SetupError

LOCAL = ("localhost", "127.0.0.1", "::1")


def open_judge(
    base_url: str, model: str, *, api_key_env: str, concurrency: int, attempts: int, timeout_s: float
) -> JudgeServer:
    """A judge. SetupError where address, model or key is missing: nothing pretends to be a judge."""
    if not base_url or not model:
        raise SetupError(
            "no judge is set: pass --judge-url (any OpenAI-compatible endpoint, such as "
            "https://api.openai.com/v1 or http://127.0.0.1:8080/v1) and --judge-model, and put its key into "
            "OPENAI_API_KEY, or name another variable with --api-key-env"
        )
    if urlsplit(base_url).hostname not in LOCAL and not os.environ.get(api_key_env or "OPENAI_API_KEY"):
        name = api_key_env or "OPENAI_API_KEY"
        raise SetupError(f"{base_url}: no key: set the environment variable {name} (any text if it needs none)")
    return JudgeServer(
        "judge", base_url, model, api_key_env, concurrency, attempts=attempts, timeout_s=timeout_s
    )
