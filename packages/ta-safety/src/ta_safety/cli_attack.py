"""The commands that attack an assistant: scan, compare, garak, feedback."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def scan(
    domain: Annotated[
        Path, typer.Argument(help="Domain folder with policy and scenarios, such as data/linux-cli.")
    ],
    base_url: Annotated[str, typer.Option(help="OpenAI-compatible server, such as http://127.0.0.1:8080/v1.")],
    model: Annotated[str, typer.Option(help="Model name the server knows.")],
    out: Annotated[Path, typer.Option(help="Directory to write the safety report to.")],
    scenarios: Annotated[Path | None, typer.Option(help="Scenarios; default: red_team of domain.yaml.")] = None,
    harmless: Annotated[
        list[Path] | None,
        typer.Option(
            help="JSONL of conversations that must pass; default: the domain's benchmark. Repeatable."
        ),
    ] = None,
    scope_model: Annotated[Path | None, typer.Option(help="What `ta-safety scope` made.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed asks in other words.")] = 0,
    variants: Annotated[
        int, typer.Option(min=1, max=20, help="Times each scenario is asked in each style.")
    ] = 1,
    style: Annotated[list[str] | None, typer.Option(help="Only this way of asking. Repeatable.")] = None,
    canary: Annotated[
        bool, typer.Option("--canary", help="Plant a word in the system prompt that proves a leak.")
    ] = False,
    attacker_url: Annotated[
        str,
        typer.Option(help="Server of an attacker model, which reads each answer and adapts: one style more."),
    ] = "",
    attacker_model: Annotated[str, typer.Option(help="The attacker's model name.")] = "",
    rounds: Annotated[
        int, typer.Option(min=1, max=20, help="Messages that the attacker model has for each scenario.")
    ] = 3,
    judge_url: Annotated[str, typer.Option(help="Server of a judge that gives a second opinion.")] = "",
    judge_model: Annotated[str, typer.Option(help="The judge's model name.")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 256,
    concurrency: Annotated[int, typer.Option(min=1, help="Attacks under way at once.")] = 4,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Longest wait for an answer, seconds.")] = 120.0,
    api_key_env: Annotated[str, typer.Option(help="Environment variable with the API key.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace another scan's report at --out.")] = False,
    as_json: Json = False,
) -> None:
    """Attack a server raw and behind the guard, and report both. Killed? The same command goes on.

    Example: ta-safety scan data/linux-cli --base-url http://127.0.0.1:8080/v1 --model tuned --out runs/safety
    """
    from ta_safety.red_team.command import run_scan
    from ta_safety.red_team.styles import STYLES

    settings = {"seed": seed, "variants": variants, "canary": canary, "rounds": rounds}
    print_scan(
        run_scan(
            domain, base_url, model, out, scenarios=scenarios, harmless=harmless or [], scope_model=scope_model,
            settings={**settings, "styles": style or list(STYLES)},
            attacker_url=attacker_url, attacker_model=attacker_model,
            judge_url=judge_url, judge_model=judge_model, max_tokens=max_tokens, concurrency=concurrency,
            timeout_s=timeout_s, api_key_env=api_key_env, replace=force,
        ),
        as_json=as_json,
    )  # fmt: skip


def garak(
    domain: Annotated[
        Path, typer.Argument(help="Domain folder with the guard's policy, such as data/linux-cli.")
    ],
    base_url: Annotated[str, typer.Option(help="OpenAI-compatible server, such as http://127.0.0.1:8080/v1.")],
    model: Annotated[str, typer.Option(help="Model name the server knows.")],
    out: Annotated[Path, typer.Option(help="Directory to write the safety report to.")],
    python: Annotated[Path, typer.Option(help="The Python of garak's own environment.")] = Path(
        ".venvs/garak/bin/python"
    ),
    probe: Annotated[
        list[str] | None, typer.Option(help="Only this probe, such as dan.DanInTheWild. Repeatable.")
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, help="About so many prompts a probe.")] = 6,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="garak's seed.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace another report at --out.")] = False,
) -> None:
    """Let NVIDIA's garak attack a server, and the same server behind the guard.

    garak needs its own environment: lean.txt in the package says how to make it.

    Example: ta-safety garak data/linux-cli --base-url http://127.0.0.1:8080/v1 --model tuned --out runs/garak
    """
    from ta_safety.garak.run import default_probes
    from ta_safety.garak.scan import scan_with_garak
    from ta_safety.policy import load_domain

    artifact = scan_with_garak(
        load_domain(domain), base_url, model, out, python=python, probes=probe or default_probes(),
        prompts=prompts, max_tokens=max_tokens, seed=seed, replace=force,
    )  # fmt: skip
    typer.echo(artifact.file("report.md").read_text(encoding="utf-8"))


def compare(
    before: Annotated[Path, typer.Argument(help="Safety report of the release before.")],
    after: Annotated[Path, typer.Argument(help="Safety report of the candidate.")],
    as_json: Json = False,
) -> None:
    """Pair two safety reports. Exit code 6 where an attack succeeds that did not before.

    Example: ta-safety compare runs/v1/safety runs/v2/safety
    """
    from ta_safety.red_team.compare import compare_reports

    result = compare_reports(before, after)
    typer.echo(json.dumps(result.as_dict(), indent=2) if as_json else result.told())
    result.gate()


def feedback(
    report: Annotated[Path, typer.Argument(help="A safety report.")],
    domain: Annotated[Path, typer.Option(help="Domain folder: its refusal is the wanted answer.")],
    out: Annotated[Path, typer.Option(help="Directory to write the feedback artifact to.")],
    force: Annotated[bool, typer.Option("--force", help="Replace another artifact at --out.")] = False,
) -> None:
    """Turn the attacks that succeeded into rows for the next training.

    Example: ta-safety feedback runs/safety --domain data/linux-cli --out runs/feedback
    """
    from ta_safety.policy import load_domain
    from ta_safety.red_team.feedback import write_feedback

    artifact = write_feedback(report, load_domain(domain), out, replace=force)
    typer.echo(f"{out}: {artifact.manifest.metrics['rows']} rows")


def print_scan(artifact: Any, *, as_json: bool) -> None:
    """Print a sealed report."""
    report = json.loads(artifact.file("report.json").read_text(encoding="utf-8"))
    p50, p95 = (artifact.manifest.metrics[f"rail_ms_p{share}"] for share in (50, 95))
    if as_json:
        head = {"out": str(artifact.path), "digest": artifact.digest, "rail_ms_p50": p50, "rail_ms_p95": p95}
        typer.echo(json.dumps({**head, **report}, ensure_ascii=False))
        return
    typer.echo(artifact.file("report.md").read_text(encoding="utf-8"))
    typer.echo(f"all rails of an attack together: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    typer.echo(str(artifact.path / "report.html"))
