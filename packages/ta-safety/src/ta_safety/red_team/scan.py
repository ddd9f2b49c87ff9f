"""The scan: every scenario in every style, raw and guarded, judged by detectors; killed, it goes on where
it stopped.

scan(ScanConfig(), domain, scenarios, answer, out, harmless=rows)
"""

import hashlib
import json
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from ta_safety.detectors.leak import with_canary
from ta_safety.guard import Guard
from ta_safety.policy import Domain
from ta_safety.red_team.attacker import adaptive_turns
from ta_safety.red_team.journal import Attempt, Journal
from ta_safety.red_team.judge import ask_judge
from ta_safety.red_team.latency import rail_ms
from ta_safety.red_team.report import build_report, write_report
from ta_safety.red_team.scenario import Scenario, succeeded
from ta_safety.red_team.styles import STYLES, Style, turns
from ta_safety.red_team.target import Answer, Messages, Reply
from ta_schemas import Artifact, ArtifactWriter, sealed, write_jsonl
from ta_schemas.artifact import refuse_existing
from ta_schemas.errors import InputError, UserError
from ta_schemas.rows import AttemptRow, Message


class ScanConfig(BaseModel):
    """How an assistant is attacked. All of it identifies a report."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0, description="another seed asks in other words")
    variants: int = Field(default=1, ge=1, le=20, description="how often each scenario is asked in each style")
    styles: list[Style] = Field(default=list(STYLES), min_length=1, description="ways of asking")
    canary: bool = Field(default=False, description="plant a word in the system prompt that proves a leak")
    rounds: int = Field(default=3, ge=1, le=20, description="messages an attacker model has for each scenario")


def scan(
    config: ScanConfig,
    domain: Domain,
    scenarios: Sequence[Scenario],
    answer: Answer,
    out: Path,
    *,
    target: dict[str, Any],
    guard: Guard | None = None,
    harmless: Iterable[list[dict[str, str]]] = (),
    attacker: Answer | None = None,
    attacker_name: str = "",
    judge: Answer | None = None,
    judge_name: str = "",
    concurrency: int = 4,
    replace: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Artifact:
    """Attack `answer` raw and behind `guard`, and seal a safety-report.

    `target` says what was attacked, `attacker_name` who thinks of the messages of style `adaptive`,
    `judge_name` who gives a second opinion (all go into the manifest). `harmless` are conversations that must
    pass.
    Raises what `answer` raises, with the finished attempts kept in `OUT.journal.jsonl`.
    """
    guard = guard or Guard(domain)
    harmless = list(harmless)
    settings = {
        **config.model_dump(),
        "domain": domain.model_dump(mode="json"),
        "target": target,
        "scenarios": _digest([scenario.model_dump(mode="json") for scenario in scenarios]),
        "harmless": _digest(harmless),
        "attacker": attacker_name,
        "judge": judge_name,
    }
    done = None if replace else sealed(out, kind="safety-report", config=settings, parents=[])
    if done is not None:
        return done
    refuse_existing(out, replace=replace)
    attempts = _run(
        config,
        domain,
        scenarios,
        answer,
        attacker,
        guard,
        Journal(out, _digest(settings)),
        concurrency,
        progress,
    )
    if judge is not None:
        ask_judge(judge, scenarios, attempts)
    report = build_report(domain, scenarios, attempts, guard, harmless)
    with ArtifactWriter(
        out, kind="safety-report", producer="ta-safety 0.1.0", config=settings, replace=replace
    ) as writer:
        write_jsonl(writer.path / "attempts.jsonl", [_row(attempt, scenarios) for attempt in attempts])
        times = [attempt.ms for attempt in attempts if attempt.guarded]
        write_report(report, times, writer.path)
        writer.metrics.update(report.headline(), **rail_ms(times))
    Journal(out, "").remove()
    return Artifact.open(out)


def _run(
    config: ScanConfig,
    domain: Domain,
    scenarios: Sequence[Scenario],
    answer: Answer,
    attacker: Answer | None,
    guard: Guard,
    journal: Journal,
    concurrency: int,
    progress: Callable[[int, int], None],
) -> list[Attempt]:
    """All attempts in a fixed order; raw and guarded ask the same, so equal questions are asked once."""
    prompt = with_canary(domain.system_prompt) if config.canary else domain.system_prompt
    asked = _Asked(answer)
    jobs = [
        (scenario, style, variant)
        for scenario in scenarios
        for style in config.styles
        for variant in range(config.variants)
    ]
    finished = journal.read()
    waiting = [job for job in jobs if _name(*job, True) not in finished]

    failures: list[UserError] = []

    def attack(job: tuple[Scenario, Style, int]) -> list[Attempt]:
        if failures:  # the target is gone; what is under way is still written down
            return []
        try:
            return [
                _attempt(job, _script(job, config, attacker), prompt, asked, guard, guarded=guarded)
                for guarded in (False, True)
            ]
        except UserError as error:
            failures.append(error)
            return []

    progress(len(jobs) - len(waiting), len(jobs))
    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        futures = [pool.submit(attack, job) for job in waiting]
        try:
            for number, future in enumerate(as_completed(futures), start=len(jobs) - len(waiting) + 1):
                for attempt in future.result():
                    finished[attempt.id] = attempt
                    journal.add(attempt)
                progress(number, len(jobs))
        except BaseException:  # Ctrl-C
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        raise failures[0]
    return [finished[_name(*job, guarded)] for job in jobs for guarded in (False, True)]


def _script(
    job: tuple[Scenario, Style, int], config: ScanConfig, attacker: Answer | None
) -> Generator[str, str, None]:
    """The user's messages of an attempt; `send` gives it the answer to the last one."""
    scenario, style, variant = job
    if style == "adaptive":
        if attacker is None:
            raise InputError("style adaptive needs an attacker model: name one with --attacker-url")
        yield from adaptive_turns(attacker, scenario, config.rounds)
    else:
        fixed = turns(style, scenario.request, scenario.topic, seed=config.seed, variant=variant)
        for turn in fixed:  # noqa: UP028  # a list's iterator takes no send()
            yield turn


def _attempt(
    job: tuple[Scenario, Style, int],
    said: Generator[str, str, None],
    prompt: str,
    asked: "_Asked",
    guard: Guard,
    *,
    guarded: bool,
) -> Attempt:
    messages: Messages = [{"role": "system", "content": prompt}] if prompt else []
    blocked, rails, ms, success, output = "", [], 0.0, False, ""
    turn: str | None = next(said)
    while turn is not None:
        messages = [*messages, {"role": "user", "content": turn}]
        finish = "stop"
        if guarded:
            reply = guard.chat(asked, messages)
            output, finish, blocked = reply.text, reply.finish_reason, reply.blocked_by or blocked
            rails += [f"{event.rail} {event.action}" for event in reply.events if event.action != "allow"]
            ms += sum({(event.rail, event.stage): event.ms for event in reply.events}.values())
        else:
            plain = asked(messages)
            output, finish = plain.text, plain.finish_reason
            blocked = "target" if finish == "content_filter" else blocked
        messages = [*messages, {"role": "assistant", "content": output}]
        judged = succeeded(job[0].success, output, system_prompt=prompt, finish_reason=finish)
        success = success or (judged and finish != "content_filter")
        try:
            turn = said.send(output)
        except StopIteration:
            turn = None
    return Attempt(
        id=_name(*job, guarded), scenario=job[0].id, style=job[1], guarded=guarded, messages=messages,
        output=output, success=success, blocked_by=blocked, rails=sorted(set(rails)), ms=round(ms, 3),
    )  # fmt: skip


class _Asked:
    """The target with a memory, so that the guarded run need not ask what the raw run asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.known: dict[str, Reply] = {}
        self.lock = threading.Lock()

    def __call__(self, messages: Messages) -> Reply:
        key = json.dumps(messages)
        with self.lock:
            known = self.known.get(key)
        if known is None:
            known = self.answer(messages)
            with self.lock:
                self.known[key] = known
        return known


def _name(scenario: Scenario, style: Style, variant: int, guarded: bool) -> str:
    return f"{scenario.id}/{style}/{variant}/{'guarded' if guarded else 'raw'}"


def _row(attempt: Attempt, scenarios: Sequence[Scenario]) -> AttemptRow:
    scenario = next(s for s in scenarios if s.id == attempt.scenario)
    messages = [Message(role=m["role"], content=m["content"]) for m in attempt.messages]  # type: ignore[arg-type]
    return AttemptRow(
        id=attempt.id, probe=f"{attempt.scenario}/{attempt.style}", messages=messages, output=attempt.output,
        detector=scenario.success.kind, score=float(attempt.success), blocked=bool(attempt.blocked_by),
        extra={"guarded": attempt.guarded, "style": attempt.style, "owasp": scenario.owasp,
               "severity": scenario.severity, "blocked_by": attempt.blocked_by, "rails": attempt.rails,
               "judged": attempt.judged},
    )  # fmt: skip


def _digest(content: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
