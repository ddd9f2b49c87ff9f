"""`ta-eval harness`: our benchmarks as lm-eval tasks, and lm-eval's own tasks by name."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ta_eval.options import Json, KeyEnv

app = typer.Typer(
    no_args_is_help=True, help="lm-evaluation-harness: generated and standard tasks, log-prob probe."
)

Benchmark = Annotated[
    Path | None, typer.Argument(help="Questions: a JSONL file, or a predictions artifact that holds them.")
]
BaseUrl = Annotated[str, typer.Option(help="OpenAI-compatible server, such as http://127.0.0.1:8080/v1.")]
Model = Annotated[str, typer.Option(help="Model name the server knows.")]


@app.command()
def tasks(
    benchmark: Annotated[Path, typer.Argument(help="Questions: a JSONL file, or a predictions artifact.")],
    out: Annotated[Path, typer.Option(help="New folder for the tasks, such as runs/tasks.")],
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 256,
) -> None:
    """Write a benchmark as a folder of tasks that any lm-eval reads.

    Example: ta-eval harness tasks data/linux-cli/benchmark.jsonl --out runs/tasks
    && lm_eval run --include_path runs/tasks --tasks ta_benchmark --model hf --model_args pretrained=runs/merged
    """
    from ta_eval.benchmark import read_benchmark
    from ta_eval.harness.tasks import write_tasks

    written = write_tasks(read_benchmark(_questions(benchmark)), out, max_tokens=max_tokens)
    for name, count in written.items.items():
        typer.echo(f"{name:<32}{count:>6} items")
    for reason, count in written.left_out.items():
        typer.echo(f"left out: {reason:<22}{count:>6} items")


@app.command()
def run(
    benchmark: Benchmark = None,
    model_folder: Annotated[
        Path | None, typer.Option(help="Hugging Face model folder, loaded in this process (needs torch).")
    ] = None,
    base_url: BaseUrl = "",
    model: Model = "",
    api_key_env: KeyEnv = "",
    standard: Annotated[
        str, typer.Option("--tasks", help="lm-eval's own tasks, such as arc_easy,piqa (needs the network).")
    ] = "",
    loglikelihood: Annotated[
        bool, typer.Option("--loglikelihood", help="Score multiple-choice items by log-likelihood.")
    ] = False,
    system_prompt: Annotated[str, typer.Option(help="System message of every item.")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 256,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many items of each task.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Items at a time, for --model-folder.")] = 8,
    chat: Annotated[bool, typer.Option("--chat/--no-chat", help="Use the model's chat template.")] = True,
    scores: Annotated[
        Path | None, typer.Option(help="File for a score row an item, such as runs/lm-eval.jsonl.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a benchmark, or standard tasks, through lm-eval on a model folder or a server.

    Example: ta-eval harness run data/linux-cli/general.jsonl --model-folder runs/merged --loglikelihood
    """
    from ta_eval.benchmark import read_benchmark
    from ta_eval.harness.run import run_harness
    from ta_eval.http_target import HttpTarget
    from ta_schemas import InputError, write_jsonl

    if (model_folder is None) == (not base_url) or bool(base_url) != bool(model):
        raise InputError("expected --model-folder, or --base-url with --model")
    result = run_harness(
        model_folder or HttpTarget(model, base_url, model, api_key_env),
        benchmark=read_benchmark(_questions(benchmark)) if benchmark else None,
        standard=[name for name in standard.split(",") if name],
        loglikelihood=loglikelihood,
        system_prompt=system_prompt,
        max_tokens=max_tokens,
        limit=limit,
        batch_size=batch_size,
        chat=chat,
        api_key_env=api_key_env,
    )
    if scores is not None:
        write_jsonl(scores, result.scores)
    if as_json:
        shown = {"tasks": result.tasks, "left_out": result.left_out, "versions": result.versions}
        typer.echo(json.dumps(shown, indent=2))
        return
    for name, numbers in result.tasks.items():
        told = "  ".join(f"{key} {value:.4g}" for key, value in numbers.items())
        typer.echo(f"{name:<32}{told}")
    for reason, count in result.left_out.items():
        typer.echo(f"left out: {reason:<22}{count:>6} items")


@app.command()
def probe(base_url: BaseUrl, model: Model, api_key_env: KeyEnv = "") -> None:
    """Say whether a server tells the log-probabilities of a prompt right; exit 6 if not.

    Example: ta-eval harness probe --base-url http://127.0.0.1:8080/v1 --model smollm2
    """
    import os

    import httpx

    from ta_eval.harness.probe import probe as probe_server
    from ta_schemas.errors import GateError

    key = os.environ.get(api_key_env or "OPENAI_API_KEY") or "none"
    with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=120) as client:
        found = probe_server(client, base_url.rstrip("/"), model)
    if not found.ok:
        raise GateError(f"{base_url}: {found.reason}")
    typer.echo(f"{base_url}: {found.reason}: log-likelihood tasks may be run on it")


def _questions(path: Path) -> Path:
    """The benchmark file, or the one that a predictions artifact holds."""
    from ta_schemas import Artifact

    return Artifact.open(path, kind="predictions").file("benchmark.jsonl") if path.is_dir() else path
