"""Asking a judge: json_schema, else json_object, else plain text; what is no JSON is asked once more.

Only what could be read is journaled, so that a second run asks for the rest.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ta_eval.http_target import HttpTarget
from ta_eval.journal import Journal
from ta_eval.judge.parse import parse
from ta_eval.limits import Limits
from ta_eval.progress import Progress, say
from ta_eval.target import Failure, Message, OnReplies, Reply
from ta_schemas import SetupError

REFUSED = ("http 400", "http 413", "http 415", "http 422", "http 500", "http 501")
"""How servers answer a request that they do not understand, or that is too long."""


class Judgment(NamedTuple):
    """What the judge said; `answer` is None where it could not be read, and `reason` says why."""

    answer: dict[str, Any] | None
    rung: str
    """`json_schema`, `json_object`, `last object` or `asked again`."""
    reason: str
    prompt_tokens: int
    completion_tokens: int


class JudgeServer(HttpTarget):
    """A server asked with a response format."""

    def ask_formatted(self, conversations: Sequence[list[Message]], done: OnReplies, **settings: Any) -> None:
        """Ask all; `settings` go into each request."""
        asyncio.run(self._ask_all(conversations, done, **settings))


class Ladder:
    """One run of a judge over many conversations that share a schema."""

    def __init__(
        self,
        server: JudgeServer,
        schema: dict[str, Any],
        journal: Journal,
        limits: Limits,
        *,
        max_tokens: int,
        temperature: float,
    ) -> None:
        strict = {"name": "judgment", "strict": True, "schema": schema}
        self.server, self.schema, self.journal, self.limits = server, schema, journal, limits
        self.settings: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature}
        self.formats: list[dict[str, Any]] = [
            {"response_format": {"type": "json_schema", "json_schema": strict}},
            {"response_format": {"type": "json_object"}},
            {},
        ]
        self.judgments: dict[str, Judgment] = {}
        self.unread: dict[str, tuple[Reply, str]] = {}
        self.failed: dict[str, Failure] = {}

    def climb(self, tasks: Mapping[str, list[Message]]) -> dict[str, Judgment]:
        """A judgment for each key. SetupError where the server fails for good, or the budget is used up."""
        for key in tasks:
            if key in self.journal.replies:
                self.judgments[key] = _from_journal(self.journal.replies[key])
        self.limits.count(self.journal.replies[key] for key in self.judgments)
        if self.judgments:
            say(f"{len(self.judgments)} judgments taken from {self.journal.path}")
        missing = {key: messages for key, messages in tasks.items() if key not in self.judgments}
        with Progress("judge", total=len(tasks), done=len(self.judgments), limits=self.limits) as self.progress:
            self.total = len(tasks)
            first = dict(list(missing.items())[:1])  # one alone finds out which format the server takes
            self._step_down(first)
            self._step_down({key: messages for key, messages in missing.items() if key not in first})
            again = {key: _ask_again(tasks[key], *said) for key, said in self.unread.items()}
            self._ask(again, second=True)
        self._refuse_failures()
        return {key: self.judgments[key] for key in tasks}

    def _step_down(self, asked: Mapping[str, list[Message]]) -> None:
        """Ask; where all is refused, drop what the server does not know and ask again, for good."""
        self._ask(asked)
        while asked and all(key in self.failed and self.failed[key].reason in REFUSED for key in asked):
            told = " ".join(self.failed[key].message for key in asked)
            if "max_completion_tokens" in told and "max_tokens" in self.settings:
                self.settings["max_completion_tokens"] = self.settings.pop("max_tokens")
            elif "temperature" in told and "temperature" in self.settings:
                self.settings.pop("temperature")
            elif len(self.formats) > 1:
                self.formats.pop(0)
            else:
                return
            for key in asked:
                del self.failed[key]
            self._ask(asked)

    def _ask(self, asked: Mapping[str, list[Message]], *, second: bool = False) -> None:
        keys = list(asked)

        def done(finished: dict[int, Reply | Failure]) -> None:
            for at, reply in finished.items():
                self._take(keys[at], reply, second=second)
            self.limits.count(finished.values())
            self.progress.advance(finished.values())
            self.limits.check(len(self.judgments), self.total)

        if keys:
            self.limits.check(len(self.judgments), self.total)
            settings = {**self.settings, **self.formats[0]}
            self.server.ask_formatted([asked[key] for key in keys], done, **settings)

    def _take(self, key: str, reply: Reply | Failure, *, second: bool) -> None:
        if isinstance(reply, Failure):
            self.failed[key] = reply
            return
        parsed = parse(reply.text, self.schema)
        before = self.unread[key][0] if second else Reply("", "", 0, 0)
        tokens = (
            before.prompt_tokens + reply.prompt_tokens,
            before.completion_tokens + reply.completion_tokens,
        )
        if parsed.answer is not None:
            rung = self.formats[0].get("response_format", {}).get("type", "last object")
            rung = "asked again" if second else rung if parsed.whole else "last object"
            self.judgments[key] = Judgment(parsed.answer, rung, "", *tokens)
            said = json.dumps({"answer": parsed.answer, "rung": rung}, ensure_ascii=False)
            self.journal.add({key: Reply(said, reply.finish_reason, *tokens)})
        elif second:
            reason = "cut off at max_tokens" if reply.finish_reason == "length" else "unreadable judgment"
            self.judgments[key] = Judgment(None, "unscored", f"{reason}: {parsed.problem}", *tokens)
        else:
            self.unread[key] = (reply, parsed.problem)

    def _refuse_failures(self) -> None:
        """A request that is refused while others are not, such as one too long, is unscored: no rerun helps."""
        if len(self.failed) < self.total:
            for key, failure in list(self.failed.items()):
                if failure.reason in REFUSED[:4]:
                    self.judgments[key] = Judgment(
                        None, "unscored", f"{failure.reason}: {failure.message}", 0, 0
                    )
                    del self.failed[key]
        if self.failed:
            first = next(iter(self.failed.values()))
            raise SetupError(
                f"{len(self.failed)} of {self.total} judgments failed ({first.reason}: {first.message}); "
                f"the others are kept in {self.journal.path}: run the same command for the failed ones only"
            )


def _ask_again(messages: list[Message], reply: Reply, problem: str) -> list[Message]:
    said: Message = {"role": "assistant", "content": reply.text[:2000] or "(nothing)"}
    request = (
        f"That could not be read: {problem}. Reply with the JSON object only, the reason in at most 15 words."
    )
    return [*messages, said, {"role": "user", "content": request}]


def _from_journal(reply: Reply) -> Judgment:
    said = json.loads(reply.text)
    return Judgment(said["answer"], said["rung"], "", reply.prompt_tokens, reply.completion_tokens)
