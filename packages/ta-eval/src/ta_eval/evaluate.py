"""evaluate(): ask a target every item of a benchmark, score the answers, seal a `predictions` artifact."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ta_eval.benchmark import Benchmark, read_benchmark
from ta_eval.config import EvalConfig
from ta_eval.journal import Journal, journal_path, request_key
from ta_eval.predictions import Answers, identity, seal_predictions
from ta_eval.progress import Progress, say
from ta_eval.stats import DISCORDANT_SHARES, minimum_detectable_effect
from ta_eval.target import Failure, Message, Reply, Target
from ta_schemas import Artifact, Parent, SetupError, sealed
from ta_schemas.artifact import refuse_existing
from ta_schemas.jsonl import to_object
from ta_schemas.rows import BenchmarkRow


def evaluate(
    config: EvalConfig,
    benchmark: Path,
    target: Target,
    out: Path,
    *,
    replace: bool = False,
    parents: Sequence[Parent] = (),
) -> Artifact:
    """Ask, journal, score, seal. A second call with the same inputs returns the artifact without asking.

    Raises InputError (benchmark), ArtifactError (`out` is in the way), SetupError where items failed for
    good; then the journal stays, and the same call asks for those items only.
    """
    items = read_benchmark(benchmark)
    settings = identity(items, target.name, target=target.identity, asked=config.model_dump())
    done = sealed(out, kind="predictions", config=settings, parents=parents)
    if done is not None:
        return done
    refuse_existing(out, replace=replace)
    with Journal(journal_path(out)) as journal:
        answers, speed = _ask(config, items, target, journal)
        _refuse_failures(answers, on_error=config.on_error, journal=journal.path)
        artifact = seal_predictions(
            items, answers, out, settings, parents=parents, replace=replace, speed=speed
        )
        journal.path.unlink()
    return artifact


def what_can_be_seen(items: Benchmark) -> str:
    """The minimum detectable effect, said before the run: is this benchmark large enough for the question?"""
    n = len(items.rows)
    effects = [f"{100 * minimum_detectable_effect(n, d):.1f}" for d in DISCORDANT_SHARES]
    shares = " / ".join(f"{100 * d:.0f}" for d in DISCORDANT_SHARES)
    return (
        f"{items.name}: {n} items. Detectable difference (80 % power): {' / '.join(effects)} points "
        f"when two systems disagree on {shares} % of the items."
    )


def conversation(row: BenchmarkRow, system_prompt: str) -> list[Message]:
    """What is sent: the row's messages, after the system prompt where the row has none."""
    messages = [{"role": message.role, "content": message.content} for message in row.messages]
    if system_prompt and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system_prompt})
    return messages


def _ask(
    config: EvalConfig, items: Benchmark, target: Target, journal: Journal
) -> tuple[Answers, dict[str, Any]]:
    """Take what the journal has, ask for the rest, journal each answer before it counts."""
    conversations = {row.id: conversation(row, config.system_prompt) for row in items.rows}
    keys = {
        row.id: request_key(
            row=to_object(row),
            messages=conversations[row.id],
            target=target.identity,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
        )
        for row in items.rows
    }
    answers: Answers = {id_: journal.replies[key] for id_, key in keys.items() if key in journal.replies}
    missing = [row.id for row in items.rows if row.id not in answers]
    resumed = len(answers)
    if resumed:
        say(f"{resumed} answers taken from {journal.path}")
    started = time.monotonic()
    with Progress(target.name, total=len(items.rows), done=resumed) as progress:

        def keep(finished: dict[int, Reply | Failure]) -> None:
            new = {missing[at]: reply for at, reply in finished.items()}
            journal.add({keys[id_]: reply for id_, reply in new.items() if isinstance(reply, Reply)})
            answers.update(new)
            progress.advance(new.values())

        try:
            if missing:
                target.ask(
                    [conversations[id_] for id_ in missing],
                    keep,
                    max_tokens=config.max_tokens,
                    temperature=config.temperature,
                )
        except KeyboardInterrupt:
            kept = sum(key in journal.replies for key in keys.values())
            progress.stop()
            where = f"kept in {journal.path}"
            say(f"stopped: {kept} of {len(keys)} answers are {where}; run the same command to go on")
            raise
    seconds = time.monotonic() - started
    tokens = sum(a.completion_tokens for id_ in missing if isinstance(a := answers[id_], Reply))
    return answers, {
        "seconds": round(seconds, 2),
        "asked": len(missing),
        "resumed": resumed,
        "completion_tokens_per_s": round(tokens / seconds, 1) if seconds and missing else 0.0,
    }


def _refuse_failures(answers: Answers, *, on_error: str, journal: Path) -> None:
    failures = [answer for answer in answers.values() if isinstance(answer, Failure)]
    if not failures or on_error == "unscored":
        return
    counts = Counter(failure.reason for failure in failures)
    reasons = ", ".join(f"{count} x {reason}" for reason, count in counts.most_common())
    raise SetupError(
        f"{len(failures)} of {len(answers)} items failed ({reasons}; first: {failures[0].message}); the "
        f"other answers are kept in {journal}: run the same command to ask for the failed ones only, or pass "
        "--on-error unscored"
    )
