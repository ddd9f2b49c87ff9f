"""`tunedassist redteam`: attack a tuned model in this process, raw and behind the guard."""

import threading
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ta_schemas import Artifact
from ta_schemas.manifest import MANIFEST_NAME
from tunedassist_cli.pipeline import installed


def red_team(
    domain: Path,
    model: Path,
    out: Path,
    *,
    seed: int = 0,
    max_tokens: int | None = None,
    replace: bool = False,
) -> Artifact:
    """Ask `model` every scenario of the domain in every style, raw and guarded; seal a `safety-report`.

    `model` is what ta-serve opens: an adapter, a model, a `gguf` artifact or a GGUF file. The traffic that must
    pass is what `safety: harmless` of domain.yaml names, else the benchmark. Killed, the same call goes on.
    Raises what the stages raise.
    """
    with installed("safety"):
        from ta_safety.policy import load_domain
        from ta_safety.red_team.command import harmless_conversations, scenarios_file
        from ta_safety.red_team.scan import ScanConfig, scan
        from ta_safety.red_team.scenario import read_scenarios
        from ta_safety.red_team.target import Messages, Reply
    with installed("serve"):
        from ta_serve.open import open_engine

    policy = load_domain(domain)
    scenarios = read_scenarios(scenarios_file(domain, policy))
    harmless = harmless_conversations(domain, policy)
    engine = open_engine(model)
    longest = max_tokens or engine.settings.generation.max_tokens
    one_at_a_time = threading.Lock()

    def answer(messages: Messages) -> Reply:
        with one_at_a_time:
            (done,) = engine.generate([messages], max_tokens=longest, temperature=0.0)
        return Reply(done.text, done.finish_reason)

    sealed = (model / MANIFEST_NAME).exists()
    what = Artifact.open(model, verify=False).digest if sealed else model.name
    columns = (TextColumn("attacks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("attacks")
        return scan(
            ScanConfig(seed=seed),
            policy,
            scenarios,
            answer,
            out,
            target={"model": what, "max_tokens": longest},
            harmless=harmless,
            replace=replace,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
