"""`tunedassist run --all`: the main job, then preferences, DPO, every system measured, attacked, released."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ta_schemas import Artifact
from ta_schemas.errors import GateError
from tunedassist_cli.full.needs import require_everything
from tunedassist_cli.full.ship import attack_both, learn_preferences, release, ship, tuning_seconds
from tunedassist_cli.full.systems import (
    System,
    index_of,
    quantized_system,
    tuned_system,
    with_prompt,
    with_retrieval,
)
from tunedassist_cli.full.way import Answers, Way, begin, compare_systems
from tunedassist_cli.full.worth import Worth, best_of, worth, write_worth


class Whole(NamedTuple):
    """What the whole way left."""

    way: Way
    preferences: Artifact
    preferred: Artifact
    """The adapter after DPO."""
    shipped: System
    """What was exported: the tuned model, or the one after DPO where that answers no fewer items right."""
    gguf: Artifact
    report: Artifact
    dpo_report: Artifact
    worth: Worth
    safety: Artifact
    release: Artifact | None
    refused: GateError | None
    """Why there is no release."""


def run_all(
    domain: Path,
    out: Path,
    *,
    recipe: str = "cpu-smollm2",
    dpo_recipe: str = "cpu-smollm2-dpo",
    overrides: Sequence[str] = (),
    base_model: str | None = None,
    max_steps: int | None = None,
    limit: int | None = None,
    seed: int | None = None,
    replace: bool = False,
) -> Whole:
    """The main job, then all the rest; every step is sealed below `out` and skipped the next time.

    `recipe`, `overrides` and `base_model` are the fine-tuning's; `max_steps` and `seed` also those of DPO,
    `limit` also the number of questions that are sampled. Raises what the stages raise; a release that its gate
    refuses is told in the result.
    """
    require_everything(domain)
    way = begin(
        domain,
        out,
        recipe=recipe,
        dpo_recipe=dpo_recipe,
        overrides=overrides,
        base_model=base_model,
        max_steps=max_steps,
        limit=limit,
        seed=seed,
        replace=replace,
    )
    dataset, base = way.first.dataset, way.base
    answers: Answers = {**way.first.predictions}

    preferences, preferred = learn_preferences(way)
    tuned = tuned_system("tuned", way.first.adapter, base)
    after_dpo = tuned_system("tuned + DPO", preferred, base)
    answers[after_dpo.name] = way.exam.take(after_dpo, "benchmark", "general")
    dpo_report = compare_systems(way, "what DPO gave", [tuned, after_dpo], answers, "dpo-report")
    better = best_of(dpo_report, [after_dpo.name, tuned.name])
    shipped = after_dpo if better == after_dpo.name else tuned

    gguf = ship(way, shipped)
    quantized = quantized_system(f"{shipped.name}, Q8_0", gguf, base)
    answers[quantized.name] = way.exam.take(quantized, "benchmark", "general")

    index = index_of(dataset)
    prompted = with_prompt(base, dataset, way.settings)
    retrieving = with_retrieval(base, dataset, index)
    both = with_retrieval(shipped, dataset, index)
    for system in (prompted, retrieving, both):
        answers[system.name] = way.exam.take(system, "benchmark")

    untuned = [base, prompted, retrieving]
    systems = [*untuned, tuned, after_dpo, quantized, both]
    title = f"{way.settings.title or way.settings.name}: {base.model['model']} and what tuning makes of it"
    report = compare_systems(way, title, systems, answers, "eval-report", base_digest=base.model["digest"])
    found = _was_it_worth_it(way, report, systems, untuned, [shipped, both], answers)
    safety = attack_both(way, gguf)
    released, refused = release(way, out, gguf)
    return Whole(
        way, preferences, preferred, shipped, gguf, report, dpo_report, found, safety, released, refused
    )


def _was_it_worth_it(
    way: Way,
    report: Artifact,
    systems: Sequence[System],
    untuned: Sequence[System],
    tuned: Sequence[System],
    answers: Answers,
) -> Worth:
    """The shipped model, first of `tuned`, and what else needs it, against the best of `untuned`."""
    from tunedassist_cli.full.times import measure_times

    with way.steps.timed("time of an answer"):
        times = measure_times(
            systems,
            way.exam.item_sets["benchmark"],
            way.exam.asked["benchmark"],
            way.folder / "times.json",
            domain=way.domain,
        )
    best = best_of(report, [system.name for system in untuned])
    rival = next(system for system in untuned if system.name == best)
    duel = compare_systems(way, "was tuning worth it?", [rival, *tuned], answers, "worth-report")
    found = worth(report, duel, answers, times, tuning_s=tuning_seconds(way, tuned[0]))
    write_worth(found, report, way.folder)
    return found
