"""`tunedassist redteam`: attack a tuned model in this process, raw and behind the guard."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ta_schemas import Artifact
from ta_schemas.manifest import MANIFEST_NAME
from tunedassist_cli.pipeline import Lazily, installed

AT_ONCE = 16
"""Questions that llama.cpp decodes in a step; another engine takes one after the other."""


def red_team(
    domain: Path,
    model: Path,
    out: Path,
    *,
    stands_for: str = "",
    seed: int = 0,
    max_tokens: int | None = None,
    replace: bool = False,
) -> Artifact:
    """Ask `model` every scenario of the domain in every style, raw and guarded; seal a `safety-report`.

    `model` is what ta-serve opens: an adapter, a model, a `gguf` artifact or a GGUF file; `stands_for` is the
    digest that the report names it by, if not its own. The traffic that must pass is what `safety: harmless`
    of domain.yaml names, else the benchmark. Killed, the same call goes on; sealed already, no model is loaded.
    Raises what the stages raise.
    """
    with installed("safety"):
        from ta_safety.policy import load_domain
        from ta_safety.red_team.command import harmless_conversations, scenarios_file
        from ta_safety.red_team.scan import ScanConfig, scan
        from ta_safety.red_team.scenario import read_scenarios
        from ta_safety.red_team.target import Messages, Reply
    with installed("serve"):
        from ta_serve.open import engine_of, open_engine, settings_of

    policy = load_domain(domain)
    scenarios = read_scenarios(scenarios_file(domain, policy))
    harmless = harmless_conversations(domain, policy)
    longest = max_tokens or settings_of(model).generation.max_tokens
    together = engine_of(model) == "llama-cpp"
    sealed = (model / MANIFEST_NAME).exists()
    what = stands_for or (Artifact.open(model, verify=False).digest if sealed else model.name)
    columns = (TextColumn("attacks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Lazily(lambda: open_engine(model)) as engine,
        Progress(*columns, console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("attacks")

        def answer(messages: Messages) -> Reply:
            (done,) = engine([messages], max_tokens=longest, temperature=0.0)
            return Reply(done.text, done.finish_reason)

        return scan(
            ScanConfig(seed=seed),
            policy,
            scenarios,
            answer,
            out,
            target={"model": what, "max_tokens": longest},
            harmless=harmless,
            concurrency=AT_ONCE if together else 1,
            replace=replace,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
