"""Attacks on a GGUF file in this process: several questions at a time, as llama.cpp answers them together."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ta_schemas import Artifact

AT_ONCE = 16
"""What the llama-cpp engine decodes in a step."""


def attack(
    domain: Path, gguf: Path, digest: str, place: Path, *, max_tokens: int, replace: bool = False
) -> Artifact:
    """Ask the model every scenario of the domain in every style, raw and guarded: a `safety-report`.

    `digest` says which model that is. The domain's benchmark is the harmless traffic that must pass. Killed,
    the same call goes on; sealed already, no model is loaded. Raises what the stages raise.
    """
    from ta_safety.policy import load_domain
    from ta_safety.red_team.command import conversations, scenarios_file
    from ta_safety.red_team.scan import ScanConfig, scan
    from ta_safety.red_team.scenario import read_scenarios
    from ta_safety.red_team.target import Messages, Reply
    from ta_serve.open import open_engine
    from tunedassist_cli.pipeline import Lazily

    policy = load_domain(domain)
    harmless = conversations(domain / policy.benchmark) if policy.benchmark else []
    columns = (TextColumn("attacks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Lazily(lambda: open_engine(gguf)) as engine, Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("attacks")

        def answer(messages: Messages) -> Reply:
            (done,) = engine([messages], max_tokens=max_tokens, temperature=0.0)
            return Reply(done.text, done.finish_reason)

        return scan(
            ScanConfig(),
            policy,
            read_scenarios(scenarios_file(domain, policy)),
            answer,
            place,
            target={"model": gguf.name, "digest": digest, "max_tokens": max_tokens},
            harmless=harmless,
            concurrency=AT_ONCE,
            replace=replace,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
