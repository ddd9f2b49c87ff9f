"""`tunedassist sweep`: a domain's recipe under many settings, each scored on the domain's benchmark."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ta_schemas import Artifact, InputError
from tunedassist_cli.pipeline import Lazily, evaluate_model, installed, load_engine, some_items

if TYPE_CHECKING:
    from ta_train.sweep.report import Trial


def sweep_domain(
    domain: Path,
    out: Path,
    *,
    over: Sequence[str],
    recipe: str = "cpu-smollm2",
    overrides: Sequence[str] = (),
    trials: int = 0,
    limit: int | None = None,
    replace: bool = False,
) -> "list[Trial]":
    """Prepare the domain's data, train every setting of `over`, ask each model the benchmark; table and plot.

    The score is the share of the benchmark's items that are right, in per cent. `over`, `trials` and what may
    be raised are those of `ta_train.sweep.sweep.sweep`; `limit` asks only so many items. What is sealed already
    is skipped.
    """
    with installed("data"):
        from ta_data import DataConfig, prepare
        from ta_data.domain import load_domain
    with installed("train"):
        from ta_train.config import SftConfig
        from ta_train.models.base_model import resolve
        from ta_train.recipe import load_recipe
        from ta_train.sweep.sweep import sweep
    with installed("eval"):
        from ta_eval.config import EvalConfig
    with installed("serve"):
        from ta_serve.open import require_transformers

        require_transformers()

    config = load_recipe(recipe, SftConfig, list(overrides))
    root, settings = load_domain(domain)
    if not settings.benchmark:
        raise InputError(f"{root / 'domain.yaml'}: benchmark: missing: name a file of held-out questions")
    items = some_items(root / settings.benchmark, limit, out)
    base = resolve(config.base_model)
    dataset = prepare(DataConfig(tokenizer=base.path), domain, out / "dataset", replace=replace)
    asked = EvalConfig(system_prompt=settings.system_prompt, max_tokens=config.max_tokens)

    def score(adapter: Artifact) -> float:
        name = adapter.path.name
        predictions = evaluate_model(
            asked,
            items,
            name,
            {"model": f"{base.name} + {name}", "digest": adapter.digest},
            Lazily(lambda: load_engine(adapter.path, adapted=adapter.manifest.kind == "adapter")),
            out / "predictions" / name,
            adapter.as_parent,
            domain=root,
            replace=replace,
        )
        return 100 * float(predictions.manifest.metrics["accuracy"]["estimate"])

    return sweep(
        recipe,
        over,
        dataset.path,
        out,
        overrides=overrides,
        trials=trials,
        score=score,
        replace=replace,
    )
