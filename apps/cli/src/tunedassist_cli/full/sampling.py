"""Questions of the training split, answered several times by the tuned model and scored by ta-eval."""

import hashlib
import importlib.util
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from ta_schemas import Artifact, read_jsonl, write_jsonl
from ta_schemas.rows import BenchmarkRow, ConversationRow
from tunedassist_cli.pipeline import Lazily

PROMPTS_AT_ONCE = 16
"""Questions handed to the engine together, each several times; the journal is written after each batch."""


class Sampling(NamedTuple):
    """How the model is asked."""

    prompts: int = 400
    """Questions of the training split, evenly over it."""
    samples: int = 3
    """Answers to each."""
    temperature: float = 0.7
    seed: int = 0


def write_policy(adapter: Path, place: Path, *, replace: bool) -> Artifact:
    """The adapter in its base model as Q8_0, which llama.cpp samples from; a `gguf` artifact without a gate.

    Sampling needs no parity to the last token: what is not the model's own would only be a worse sample.
    """
    from ta_serve.export.config import ExportConfig
    from ta_serve.export.export import export

    config = ExportConfig(name="policy", types=["Q8_0"], licence="", skip_parity=True, llama_cpp=False)
    return export(config, adapter, place, replace=replace)


def has_llama_cpp() -> bool:
    """Whether GGUF files can be made and asked here; else the transformers engine samples."""
    return all(importlib.util.find_spec(module) for module in ("llama_cpp", "gguf"))


def sample(
    adapter: Artifact,
    policy: Path,
    questions: Path,
    sampling: Sampling,
    place: Path,
    *,
    max_tokens: int,
    replace: bool,
) -> Artifact:
    """Every question of `questions` answered as often as it stands there: a `predictions` artifact.

    `policy` is what answers: the adapter itself or its GGUF. Killed, the same call goes on.
    """
    from ta_eval.config import EvalConfig
    from ta_eval.evaluate import evaluate
    from ta_eval.target import CallableTarget
    from ta_serve.open import open_engine

    kind = Artifact.open(policy, verify=False).manifest.kind
    model = {"model": "tuned", "digest": adapter.digest, "sampled_as": kind, "seed": str(sampling.seed)}
    with Lazily(lambda: open_engine(policy)) as answer:
        draws = Draws(answer.engine, sampling.seed)
        target = CallableTarget("samples", model, draws, batch_size=PROMPTS_AT_ONCE * sampling.samples)
        config = EvalConfig(max_tokens=max_tokens, temperature=sampling.temperature)
        return evaluate(config, questions, target, place, replace=replace, parents=[adapter.as_parent])


class Draws:
    """Answers the copies of a question by draws of their own: an engine answers alike under the same seed, and
    begins alike whatever the question."""

    def __init__(self, engine: Callable[[], Any], seed: int) -> None:
        self.engine = engine
        self.seed = seed

    def __call__(
        self, batch: Sequence[list[dict[str, str]]], *, max_tokens: int, temperature: float
    ) -> list[Any]:
        """All at once; the engine answers as many together as it can. Raises what the engine says is wrong."""
        from ta_serve.engines.protocol import Request

        engine, heard = self.engine(), SimpleQueue[tuple[int, Any]]()
        copies: Counter[str] = Counter()
        for at, messages in enumerate(batch):
            question = json.dumps(messages)
            draw = hashlib.sha256(f"{self.seed} {copies[question]} {question}".encode()).digest()
            copies[question] += 1
            request = Request(
                id=uuid.uuid4().hex,
                messages=messages,
                max_tokens=max_tokens,
                temperature=temperature,
                seed=int.from_bytes(draw[:4], "big"),
            )
            engine.submit(request, lambda event, at=at: heard.put((at, event)))
        return _collected(heard, len(batch))


def _collected(heard: "SimpleQueue[tuple[int, Any]]", count: int) -> list[Any]:
    """The answers, once each has ended."""
    from ta_eval.target import Reply
    from ta_serve.engines.chat_engine import as_error
    from ta_serve.engines.protocol import Delta, Failed

    texts: dict[int, str] = defaultdict(str)
    replies: dict[int, Reply] = {}
    while len(replies) < count:
        at, event = heard.get()
        if isinstance(event, Delta):
            texts[at] += event.text
        elif isinstance(event, Failed):
            raise as_error(event)
        else:
            replies[at] = Reply(
                texts[at], event.reason, event.usage.prompt_tokens, event.usage.completion_tokens
            )
    return [replies[at] for at in range(count)]


def judged_by_command(domain: Path, benchmark: str) -> bool:
    """Whether the domain's benchmark compares commands; then the samples' commands are compared, too."""
    from ta_eval.benchmark import read_benchmark

    items = read_benchmark(domain / benchmark, domain=domain)
    return any(row.scorer.startswith("command") for row in items.rows)


def write_questions(dataset: Artifact, commands: bool, sampling: Sampling, file: Path) -> Path:
    """Items for ta-eval: training questions, each once for every sample, scored against the row's answer.

    `commands`: an answer that is a command is judged by it.
    """
    rows = list(read_jsonl(dataset.file("train.jsonl"), ConversationRow))
    count = min(sampling.prompts, len(rows))
    chosen = [rows[at * len(rows) // count] for at in range(count)]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(file, _items(chosen, sampling.samples, commands=commands))
    return file


def _items(rows: Sequence[ConversationRow], samples: int, *, commands: bool) -> Iterator[BenchmarkRow]:
    for row in rows:
        scorer, reference = scorer_for(row, commands=commands)
        for copy in range(samples):
            yield BenchmarkRow(
                id=f"{row.id}#{copy + 1}",
                category=row.kind,
                messages=row.messages[:-1],
                scorer=scorer,
                references=[reference],
                group=row.task,
            )


def scorer_for(row: ConversationRow, *, commands: bool) -> tuple[str, str]:
    """How an answer is judged by the row's own: by its command, where the domain's benchmark does so and the
    answer is nothing but one; else by its words (a warning or a question back is more than a command)."""
    answer = row.messages[-1].content
    if commands and row.kind == "answer":
        from ta_eval.scorers.bash import canonical_forms
        from ta_eval.scorers.command import FENCE, extract_command

        command = extract_command(answer) if FENCE.search(answer) else ""
        if command and canonical_forms(command) is not None:
            return "command", command
    return "token_f1", answer
