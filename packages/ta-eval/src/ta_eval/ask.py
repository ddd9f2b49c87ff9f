"""Asking: take what journal and cache have, ask for the rest, journal each answer before it counts."""

import time
from typing import Any

from ta_eval.benchmark import Benchmark
from ta_eval.cache import AnswerCache
from ta_eval.config import EvalConfig
from ta_eval.journal import Journal, request_key
from ta_eval.limits import Limits
from ta_eval.predictions import Answers
from ta_eval.progress import Progress, say
from ta_eval.target import Failure, Message, Reply, Target
from ta_schemas.jsonl import to_object
from ta_schemas.rows import BenchmarkRow


class Questions:
    """What is asked for each item, and under which keys its answer is kept."""

    def __init__(self, config: EvalConfig, items: Benchmark, target: Target) -> None:
        self.config = config
        self.target = target
        self.conversations = {row.id: conversation(row, config.system_prompt) for row in items.rows}
        settings = {"max_tokens": config.max_tokens, "temperature": config.temperature}
        self.settings: dict[str, Any] = settings
        asked = {"target": target.identity, **settings}
        self.keys = {
            row.id: request_key(row=to_object(row), messages=self.conversations[row.id], **asked)
            for row in items.rows
        }
        """In the journal: an item that was changed is asked again."""
        self.cache_keys = {
            id_: request_key(messages=messages, **asked) for id_, messages in self.conversations.items()
        }
        """In the cache: the same question in another benchmark has the same answer."""

    def known(self, journal: Journal | None, cache: AnswerCache | None) -> dict[str, Reply]:
        """Answers that need not be asked for, by item."""
        kept = journal.replies if journal else {}
        known = {id_: kept[key] for id_, key in self.keys.items() if key in kept}
        if cache and self.config.temperature == 0:
            wanted = {key: id_ for id_, key in self.cache_keys.items() if id_ not in known}
            found = cache.find(wanted)
            known |= {
                id_: found[key] for id_, key in self.cache_keys.items() if key in found and id_ not in known
            }
        return known


def conversation(row: BenchmarkRow, system_prompt: str) -> list[Message]:
    """What is sent: the row's messages, after the system prompt where the row has none."""
    messages = [{"role": message.role, "content": message.content} for message in row.messages]
    if system_prompt and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system_prompt})
    return messages


def ask(
    questions: Questions, journal: Journal, cache: AnswerCache | None, limits: Limits
) -> tuple[Answers, dict[str, Any]]:
    """Answer every item; the second value is what `logs/speed.json` holds."""
    known = questions.known(journal, cache)
    answers: Answers = dict(known)
    missing = [id_ for id_ in questions.keys if id_ not in answers]
    total, resumed = len(questions.keys), sum(key in journal.replies for key in questions.keys.values())
    if resumed:
        say(f"{resumed} answers taken from {journal.path}")
    if cache and len(known) > resumed:
        say(f"{len(known) - resumed} answers taken from {cache.path}")
    limits.count(journal.replies[key] for key in questions.keys.values() if key in journal.replies)
    if not missing:
        return answers, _speed(answers, [], limits, seconds=0.0, resumed=resumed, cached=len(known) - resumed)
    started = time.monotonic()
    with Progress(questions.target.name, total=total, done=len(known), limits=limits) as progress:

        def keep(finished: dict[int, Reply | Failure]) -> None:
            new = {missing[at]: reply for at, reply in finished.items()}
            replies = {id_: reply for id_, reply in new.items() if isinstance(reply, Reply)}
            journal.add({questions.keys[id_]: reply for id_, reply in replies.items()})
            if cache and questions.config.temperature == 0:
                cache.add({questions.cache_keys[id_]: reply for id_, reply in replies.items()})
            answers.update(new)
            limits.count(new.values())
            progress.advance(new.values())
            limits.check(sum(isinstance(answer, Reply) for answer in answers.values()), total)

        try:
            limits.check(len(known), total)
            asked = [questions.conversations[id_] for id_ in missing]
            questions.target.ask(asked, keep, **questions.settings)
        except KeyboardInterrupt:
            kept = sum(key in journal.replies for key in questions.keys.values())
            progress.stop()
            where = f"kept in {journal.path}"
            say(f"stopped: {kept} of {total} answers are {where}; run the same command to go on")
            raise
    seconds = time.monotonic() - started
    return answers, _speed(
        answers, missing, limits, seconds=seconds, resumed=resumed, cached=len(known) - resumed
    )


def _speed(
    answers: Answers, missing: list[str], limits: Limits, *, seconds: float, resumed: int, cached: int
) -> dict[str, Any]:
    tokens = sum(a.completion_tokens for id_ in missing if isinstance(a := answers[id_], Reply))
    return {
        "seconds": round(seconds, 2),
        "asked": len(missing),
        "resumed": resumed,
        "cached": cached,
        "completion_tokens_per_s": round(tokens / seconds, 1) if seconds else 0.0,
        **({"cost_usd": round(limits.spent, 6)} if limits.spent else {}),
    }
