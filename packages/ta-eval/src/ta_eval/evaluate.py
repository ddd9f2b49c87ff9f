"""evaluate(): ask a target every item of a benchmark, score the answers, seal a `predictions` artifact."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ta_eval.ask import Questions, ask, conversation
from ta_eval.benchmark import Benchmark, read_benchmark
from ta_eval.cache import AnswerCache
from ta_eval.config import EvalConfig
from ta_eval.journal import Journal, journal_path
from ta_eval.limits import Estimate, Limits, estimate
from ta_eval.predictions import Answers, identity, seal_predictions
from ta_eval.stats import DISCORDANT_SHARES, minimum_detectable_effect
from ta_eval.target import Failure, Target
from ta_schemas import Artifact, Parent, SetupError, sealed
from ta_schemas.artifact import refuse_existing

__all__ = ["conversation", "estimate_run", "evaluate", "what_can_be_seen"]


def evaluate(
    config: EvalConfig,
    benchmark: Path,
    target: Target,
    out: Path,
    *,
    replace: bool = False,
    parents: Sequence[Parent] = (),
    limits: Limits | None = None,
    cache: Path | None = None,
    domain: Path | None = None,
) -> Artifact:
    """Ask, journal, score, seal. A second call with the same inputs returns the artifact without asking.

    `limits` may stop the run, `cache` is a file of answers to take over (at temperature 0); neither changes
    what is sealed. `domain` is a domain.yaml whose `scorers` the items may name.

    Raises InputError (benchmark), ArtifactError (`out` is in the way), SetupError where items failed for good
    or a limit was reached; then the journal stays, and the same call asks for the rest.
    """
    items = read_benchmark(benchmark, domain=domain)
    settings = identity(items, target.name, target=target.identity, asked=config.model_dump())
    done = sealed(out, kind="predictions", config=settings, parents=parents)
    if done is not None:
        return done
    refuse_existing(out, replace=replace)
    with Journal(journal_path(out)) as journal, ExitStack() as stack:
        answer_cache = stack.enter_context(AnswerCache(cache)) if cache else None
        questions = Questions(config, items, target)
        answers, speed = ask(questions, journal, answer_cache, limits or Limits())
        _refuse_failures(answers, on_error=config.on_error, journal=journal.path)
        artifact = seal_predictions(
            items, answers, out, settings, parents=parents, replace=replace, speed=speed
        )
        journal.path.unlink()
    return artifact


def estimate_run(
    config: EvalConfig,
    benchmark: Path,
    target: Target,
    out: Path,
    *,
    limits: Limits,
    cache: Path | None = None,
    domain: Path | None = None,
) -> Estimate:
    """What `evaluate` with the same arguments would ask, and what that costs; nothing is asked or written."""
    questions = Questions(config, read_benchmark(benchmark, domain=domain), target)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(journal_path(out))) if journal_path(out).exists() else None
        answer_cache = stack.enter_context(AnswerCache(cache)) if cache and cache.exists() else None
        known = questions.known(journal, answer_cache)
    asked = [messages for id_, messages in questions.conversations.items() if id_ not in known]
    return estimate(
        asked,
        list(known.values()),
        items=len(questions.conversations),
        max_tokens=config.max_tokens,
        limits=limits,
    )


def what_can_be_seen(items: Benchmark) -> str:
    """The minimum detectable effect, said before the run: is this benchmark large enough for the question?

    And what will have no score on this machine, while there is time to install what is missing.
    """
    lost, reason = without_sandbox(items)
    n = len(items.rows) - lost
    effects = [f"{100 * minimum_detectable_effect(n, d):.1f}" for d in DISCORDANT_SHARES]
    shares = " / ".join(f"{100 * d:.0f}" for d in DISCORDANT_SHARES)
    warning = f" {lost} more items cannot be scored here: {reason}." if lost else ""
    return (
        f"{items.name}: {n} items. Detectable difference (80 % power): {' / '.join(effects)} points "
        f"when two systems disagree on {shares} % of the items.{warning}"
    )


def without_sandbox(items: Benchmark) -> tuple[int, str]:
    """How many items are run in a sandbox that is not there, and why it is not."""
    run = sum(row.scorer == "command_execution" for row in items.rows)
    if not run:
        return 0, ""
    from ta_eval.sandbox.bwrap import Refused, find_sandbox

    sandbox = find_sandbox()
    return (run, sandbox.reason) if isinstance(sandbox, Refused) else (0, "")


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
