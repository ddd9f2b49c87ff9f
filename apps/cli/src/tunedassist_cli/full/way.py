"""What the steps of the whole way share, and how it begins: with the main job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ta_schemas import Artifact, InputError
from tunedassist_cli.full.pairs import STEPS as PAIR_STEPS
from tunedassist_cli.full.systems import Exam, System, base_system
from tunedassist_cli.pipeline import GENERAL_PROMPT, Result, Steps, as_overrides, run, some_items

if TYPE_CHECKING:
    from ta_data.domain import Domain
    from ta_train.config import SftConfig
    from ta_train.preference.config import DpoConfig

FOLDER = "all"
"""Below the run: what only the whole way makes, apart from what `run`, `redteam` and `export` leave."""

OWN_STEPS = 14
"""Without the pairs' steps and those that ask an item set."""

Answers = dict[str, Mapping[str, Path]]
"""System: item set: its predictions."""


@dataclass(frozen=True)
class Way:
    """A whole way under way."""

    domain: Path
    settings: "Domain"
    config: "SftConfig"
    dpo_config: "DpoConfig"
    limit: int | None
    first: Result
    base: System
    exam: Exam
    folder: Path
    replace: bool

    @property
    def steps(self) -> Steps:
        """The one count of steps, the main job's included."""
        return self.first.steps


def begin(
    domain: Path,
    out: Path,
    *,
    recipe: str,
    dpo_recipe: str,
    overrides: Sequence[str],
    base_model: str | None,
    max_steps: int | None,
    limit: int | None,
    seed: int | None,
    replace: bool,
) -> Way:
    """Read both recipes, then do the main job. Raises InputError for a recipe that trains all weights."""
    from ta_data.domain import load_domain
    from ta_eval.config import EvalConfig
    from ta_train.config import SftConfig
    from ta_train.models.base_model import resolve
    from ta_train.preference.config import DpoConfig
    from ta_train.recipe import load_recipe

    short = as_overrides(base_model=base_model, max_steps=max_steps, seed=seed)
    config = load_recipe(recipe, SftConfig, [*overrides, *short])
    if config.tuning != "lora":
        raise InputError(f"tuning: {config.tuning}: DPO goes on from an adapter: use a LoRA recipe with --all")
    given = as_overrides(base_model=config.base_model, max_steps=max_steps, seed=seed)
    dpo_config = load_recipe(dpo_recipe, DpoConfig, given)
    root, settings = load_domain(domain)
    first = run(
        domain,
        out,
        recipe=recipe,
        overrides=overrides,
        base_model=base_model,
        max_steps=max_steps,
        limit=limit,
        seed=seed,
        replace=replace,
        further_steps=OWN_STEPS + PAIR_STEPS + (4 if settings.general else 2),
    )
    files = {"benchmark": settings.benchmark, "general": settings.general}
    item_sets = {name: some_items(root / file, limit, out) for name, file in files.items() if file}
    prompts = {"benchmark": settings.system_prompt, "general": GENERAL_PROMPT}
    asked = {name: EvalConfig(system_prompt=prompts[name], max_tokens=config.max_tokens) for name in item_sets}
    base = resolve(config.base_model)
    folder = out / FOLDER
    return Way(
        domain=root,
        settings=settings,
        config=config,
        dpo_config=dpo_config,
        limit=limit,
        first=first,
        base=base_system(base.name, base.path, base.digest),
        exam=Exam(item_sets, asked, folder / "predictions", first.steps, root, replace),
        folder=folder,
        replace=replace,
    )


def compare_systems(
    way: Way, title: str, systems: Sequence[System], answers: Answers, name: str, *, base_digest: str = ""
) -> Artifact:
    """An `eval-report`: the first system against the others, on every item set that it and another answered."""
    from ta_eval.compare import compare
    from ta_eval.config import CompareConfig

    members = {
        items: [answers[system.name][items] for system in systems if items in answers[system.name]]
        for items in answers[systems[0].name]
    }
    item_sets = {items: places for items, places in members.items() if len(places) > 1}
    config = CompareConfig(title=title, base_digest=base_digest)
    return way.steps.take(
        f"report: {title}",
        way.folder / name,
        lambda place: compare(config, item_sets, place, replace=way.replace),
    )
