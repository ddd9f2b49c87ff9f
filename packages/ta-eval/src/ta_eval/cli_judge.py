"""`ta-eval judge`: a model as judge, audited and compared with people."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ta_eval.options import (
    Attempts,
    Base,
    Budget,
    Candidate,
    Concurrency,
    ConfigFile,
    DryRun,
    Force,
    InputPrice,
    Json,
    JudgeModel,
    JudgeTokens,
    JudgeUrl,
    KeyEnv,
    Out,
    OutputPrice,
    Temperature,
    Timeout,
)

if TYPE_CHECKING:
    from ta_eval.judge.config import JudgeConfig
    from ta_eval.limits import Limits
    from ta_eval.target import Message

app = typer.Typer(no_args_is_help=True)

Rubric = Annotated[Path | None, typer.Option(help="YAML file with a rubric, such as a domain.yaml.")]
Items = Annotated[int | None, typer.Option(help="Items judged, a random part, the same every time (100).")]
Retest = Annotated[float | None, typer.Option(help="Share of the items judged a second time (0.1).")]
MinKappa = Annotated[
    float | None, typer.Option(help="Kappa with people below which no verdict is given (0.4).")
]


@app.callback()
def about() -> None:
    """A model as judge: pairs in both orders, or points by a rubric. Always audited; believed only with labels.

    ta-eval judge pairs runs/base runs/tuned --judge-url https://api.openai.com/v1 --judge-model gpt-5-mini
    --rubric data/linux-cli/domain.yaml --labels runs/ab/labels.jsonl --out runs/judge
    """


@app.command()
def pairs(
    base: Base,
    candidate: Candidate,
    out: Out,
    judge_url: JudgeUrl = "",
    judge_model: JudgeModel = "",
    api_key_env: KeyEnv = "",
    rubric: Rubric = None,
    labels: Annotated[
        Path | None, typer.Option(help="People's labels (item, rater, label), as ta-eval ab analyze writes.")
    ] = None,
    config: ConfigFile = None,
    items: Items = None,
    max_tokens: JudgeTokens = None,
    temperature: Temperature = None,
    retest_share: Retest = None,
    min_kappa: MinKappa = None,
    concurrency: Concurrency = 4,
    attempts: Attempts = 5,
    timeout_s: Timeout = 120.0,
    input_price: InputPrice = 0.0,
    output_price: OutputPrice = 0.0,
    budget: Budget = 0.0,
    dry_run: DryRun = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Which of two systems answers better? Each pair is judged in both orders.

    Example: ta-eval judge pairs runs/base runs/tuned --judge-url http://127.0.0.1:8080/v1
    --judge-model qwen3 --labels runs/ab/labels.jsonl --out runs/judge
    """
    from ta_eval.answers import read_answered_pair
    from ta_eval.judge.calibrate import read_labels
    from ta_eval.judge.pairs import PairPlan, judge_pairs
    from ta_eval.judge.server import open_judge
    from ta_eval.limits import Limits

    given = {"items": items, "max_tokens": max_tokens, "temperature": temperature}
    settings = _settings(config, rubric, retest_share=retest_share, min_kappa=min_kappa, **given)
    server = open_judge(
        judge_url,
        judge_model,
        api_key_env=api_key_env,
        concurrency=concurrency,
        attempts=attempts,
        timeout_s=timeout_s,
    )
    limits = Limits(input_price, output_price, budget)
    answers = read_answered_pair(base, candidate)
    if dry_run:
        plan = PairPlan(settings, answers, server)
        _print_estimate(list(plan.tasks.values()), len(plan.items), settings, limits, as_json=as_json)
        return
    people = read_labels(labels, single=False) if labels else None
    artifact = judge_pairs(settings, answers, server, out, limits=limits, labels=people, replace=force)
    _print(json.loads(artifact.file("judge.json").read_text(encoding="utf-8")), out, as_json=as_json)


@app.command()
def points(
    predictions: Annotated[Path, typer.Argument(help="A predictions directory.")],
    out: Out,
    judge_url: JudgeUrl = "",
    judge_model: JudgeModel = "",
    api_key_env: KeyEnv = "",
    rubric: Rubric = None,
    labels: Annotated[
        Path | None, typer.Option(help="People's labels (item, rater, label: good or bad).")
    ] = None,
    config: ConfigFile = None,
    items: Items = None,
    pass_score: Annotated[float | None, typer.Option(help="Mean grade that counts as good (4).")] = None,
    max_tokens: JudgeTokens = None,
    temperature: Temperature = None,
    retest_share: Retest = None,
    min_kappa: MinKappa = None,
    concurrency: Concurrency = 4,
    attempts: Attempts = 5,
    timeout_s: Timeout = 120.0,
    input_price: InputPrice = 0.0,
    output_price: OutputPrice = 0.0,
    budget: Budget = 0.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """How good are one system's answers? Each criterion from 1 to 5; scores.jsonl can be compared.

    Example: ta-eval judge points runs/tuned --judge-url http://127.0.0.1:8080/v1 --judge-model qwen3
    --rubric data/linux-cli/domain.yaml --out runs/grades
    """
    from ta_eval.judge.calibrate import read_labels
    from ta_eval.judge.points import judge_points
    from ta_eval.judge.server import open_judge
    from ta_eval.limits import Limits
    from ta_eval.systems import read_artifact

    given = {"items": items, "max_tokens": max_tokens, "temperature": temperature, "pass_score": pass_score}
    settings = _settings(config, rubric, retest_share=retest_share, min_kappa=min_kappa, **given)
    server = open_judge(
        judge_url,
        judge_model,
        api_key_env=api_key_env,
        concurrency=concurrency,
        attempts=attempts,
        timeout_s=timeout_s,
    )
    limits = Limits(input_price, output_price, budget)
    people = read_labels(labels, single=True) if labels else None
    artifact = judge_points(
        settings, read_artifact(predictions), server, out, limits=limits, labels=people, replace=force
    )
    _print(json.loads(artifact.file("judge.json").read_text(encoding="utf-8")), out, as_json=as_json)


def _settings(config: Path | None, rubric: Path | None, **given: Any) -> "JudgeConfig":
    from ta_eval.judge.config import JudgeConfig, read_rubric

    return JudgeConfig.load(config, rubric=read_rubric(rubric) if rubric else None, **given)


def _print_estimate(
    asked: "list[list[Message]]", items: int, settings: "JudgeConfig", limits: "Limits", *, as_json: bool
) -> None:
    from ta_eval.limits import estimate

    found = estimate(asked, [], items=items, max_tokens=settings.max_tokens, limits=limits)
    if as_json:
        typer.echo(json.dumps(found._asdict(), indent=2))
        return
    cost = f", at most {found.cost_at_most:.4f} USD" if found.cost_at_most else ""
    typer.echo(
        f"{found.items} items, {found.requests} requests, about {found.prompt_tokens} prompt tokens, at most "
        f"{found.completion_tokens_at_most} tokens of judgments{cost}"
    )


def _print(found: dict[str, Any], out: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"out": str(out), **found}, indent=2, ensure_ascii=False))
        return
    from ta_eval.judge.words import lines, sentence

    for line in (sentence(found), *lines(found), *found["warnings"], str(out)):
        typer.echo(line)
