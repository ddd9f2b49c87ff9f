"""Does a server tell the log-probabilities of a prompt right? Asked before any log-likelihood task.

Two faults are common: llama-server tells none (llama.cpp issue 27174), and llama-cpp-python 0.3.36 tells each
token the distribution of the position after it (its issue 1983), which turned an accuracy of .40 into .00.
The test needs no second model: tokens that the server has just generated are sent back as a prompt, and their
log-probabilities must be the ones it told when it generated them.
"""

from typing import Any, NamedTuple

from ta_schemas import SetupError

PROMPTS = (
    "The capital of France is",
    "To list all files, also hidden ones, type",
    "One, two, three, four,",
    "My favourite colour is",
    "Water boils at",
    "def add(a, b):",
)
TOKENS = 8
FEWEST = 8
"""So many tokens must be compared; one that repeats the token before it is not, for a shift would not show."""
TOLERANCE = 0.25
"""In nats. A second pass in other batch sizes moves quantized models by some .05; a shift moves them by 5."""


class Echo(NamedTuple):
    """Tokens of a text with their log-probabilities (None where the server told none) and offsets."""

    tokens: list[str]
    logprobs: list[float | None]
    offsets: list[int]
    finish_reason: str = ""


class Probe(NamedTuple):
    """What was found; `compared` is the number of tokens seen both ways."""

    ok: bool
    reason: str
    compared: int


def probe(client: Any, base_url: str, model: str) -> Probe:
    """Generate a few tokens after each prompt, send all back with `echo`, compare. SetupError: no endpoint.

    `client` is an httpx.Client.
    """
    differences: list[float] = []
    for prompt in PROMPTS:
        made = complete(client, base_url, model, prompt, max_tokens=TOKENS, echo=False)
        if not made.tokens or None in made.logprobs:
            return Probe(False, "generated tokens come without log-probabilities", 0)
        again = complete(client, base_url, model, prompt + "".join(made.tokens), max_tokens=1, echo=True)
        if not "".join(again.tokens).lstrip().startswith(prompt):
            return Probe(False, "the prompt's log-probabilities are missing: echo is ignored", 0)
        before = ""
        for token, logprob, echoed in zip(made.tokens, made.logprobs, _tail(again, made.tokens), strict=False):
            if logprob is None or echoed is None:
                return Probe(False, "the prompt's log-probabilities are null", len(differences))
            if token != before:
                differences.append(abs(logprob - echoed))
            before = token
    if len(differences) < FEWEST:
        return Probe(False, f"only {len(differences)} tokens can be compared", len(differences))
    far = sum(difference > TOLERANCE for difference in differences)
    if far > len(differences) // 10:
        shown = f"{far} of {len(differences)} tokens have another log-probability as prompt than when generated"
        return Probe(False, f"shifted or wrong: {shown}", len(differences))
    return Probe(True, f"{len(differences)} tokens agree", len(differences))


def complete(client: Any, base_url: str, model: str, prompt: str, *, max_tokens: int, echo: bool) -> Echo:
    """`POST {base_url}/completions` with log-probabilities; SetupError where that is not answered."""
    import httpx

    body = {"model": model, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "logprobs": 1}
    try:
        response = client.post(f"{base_url}/completions", json=body | {"echo": echo})
    except httpx.HTTPError as error:
        raise SetupError(f"{base_url}: {error or type(error).__name__}: is the server running?") from None
    if response.status_code != 200:
        told = " ".join(response.text.split())[:200]
        raise SetupError(f"{base_url}/completions: {response.status_code}: {told}: it cannot score choices")
    choice = response.json()["choices"][0]
    found = choice.get("logprobs") or {}
    return Echo(
        list(found.get("tokens") or []),
        list(found.get("token_logprobs") or []),
        list(found.get("text_offset") or []),
        choice.get("finish_reason") or "",
    )


def _tail(echo: Echo, tokens: list[str]) -> list[float | None]:
    """The echoed log-probabilities of `tokens`; empty where the text was cut into other tokens.

    Found by text, since some servers echo the prompt alone and others add the token generated after it.
    """
    for start in range(len(echo.tokens) - len(tokens), 0, -1):
        if echo.tokens[start : start + len(tokens)] == tokens:
            return echo.logprobs[start : start + len(tokens)]
    return []
