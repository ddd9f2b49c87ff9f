"""Run generated or standard tasks through lm-eval, in this process or over HTTP."""

import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from ta_eval.benchmark import Benchmark
from ta_eval.harness.tasks import write_tasks
from ta_eval.http_target import HttpTarget
from ta_schemas import InputError, SetupError
from ta_schemas.rows import ScoreRow


class HarnessResult(NamedTuple):
    """lm-eval's numbers by task, and our score rows of the generated tasks."""

    tasks: dict[str, dict[str, Any]]
    scores: list[ScoreRow]
    left_out: dict[str, int]
    versions: dict[str, str]


def run_harness(
    model: Path | HttpTarget,
    *,
    benchmark: Benchmark | None = None,
    standard: list[str] | None = None,
    loglikelihood: bool = False,
    system_prompt: str = "",
    max_tokens: int = 256,
    limit: int | None = None,
    batch_size: int = 8,
    chat: bool = True,
    api_key_env: str = "",
) -> HarnessResult:
    """Score a model folder (lm-eval's `hf`, in this process) or a server on a benchmark, on tasks by name.

    `loglikelihood` asks multiple-choice items by log-likelihood instead of by answer. Raises SetupError
    without the extra, for a server whose log-probabilities are wrong, for tasks that need the network.
    """
    _require()
    if benchmark is None and not standard:
        raise InputError("nothing to run: name a benchmark or --tasks")
    from lm_eval import simple_evaluate  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from lm_eval.tasks import TaskManager  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        written = write_tasks(benchmark, Path(folder) / "tasks", max_tokens=max_tokens) if benchmark else None
        names = list(standard or [])
        if written:
            names += [written.choice if loglikelihood else written.answer]
        if "" in names:
            raise InputError("--loglikelihood: the benchmark has no multiple_choice items with one message")
        manager = TaskManager(include_path=folder, include_defaults=bool(standard))
        # A server's completions take plain text, so choices are asked there without a template.
        template = chat and not (loglikelihood and isinstance(model, HttpTarget))
        try:
            found = simple_evaluate(
                model=_model(model, api_key_env),
                model_args=None if isinstance(model, HttpTarget) else {"pretrained": str(model)},
                tasks=names,
                task_manager=manager,
                device="auto",  # lm-eval's default is CUDA, also on machines that have none
                batch_size=batch_size,
                limit=limit,
                apply_chat_template=template,
                system_instruction=system_prompt or None,
                log_samples=True,
                bootstrap_iters=0,
            )
        except (ConnectionError, KeyError) as error:
            raise SetupError(f"lm-eval: {error}: standard tasks need the network for their data") from None
    scores = [
        _row(sample) for name in (written.items if written else {}) for sample in found["samples"].get(name, [])
    ]
    kept = {name: _numbers(values) for name, values in found["results"].items()}
    return HarnessResult(kept, scores, written.left_out if written else {}, {"lm_eval": version("lm-eval")})


def _require() -> None:
    try:
        version("lm-eval")
    except PackageNotFoundError:
        raise SetupError("lm-eval is not installed: install ta-eval[lm-eval]") from None


def _model(model: Path | HttpTarget, api_key_env: str) -> Any:
    if isinstance(model, HttpTarget):
        from ta_eval.harness.over_http import OverHttp

        return OverHttp(model, api_key_env)
    if not (model / "config.json").is_file():
        raise InputError(f"{model}: no config.json: expected a Hugging Face model folder")
    return "hf"


def _row(sample: dict[str, Any]) -> ScoreRow:
    doc = sample["doc"]
    value = sample.get("score", sample.get("acc"))
    answer = sample["filtered_resps"][0]
    return ScoreRow(
        id=doc["id"],
        category=doc["category"],
        score=None if value is None else float(value),
        scorer="lm-eval",
        extracted=answer if isinstance(answer, str) else "",
        reason="" if value is not None else "not scored",
    )


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    """`acc,none` is `acc`; what lm-eval could not compute is left out."""
    return {
        name.removesuffix(",none"): value
        for name, value in values.items()
        if isinstance(value, int | float) and not name.endswith("_stderr,none")
    }
