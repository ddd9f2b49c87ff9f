"""From the tuned adapter to a release: preferences and DPO, merging, the GGUF behind its gate, attacks."""

import json
from pathlib import Path

from ta_schemas import Artifact
from ta_schemas.errors import GateError
from ta_schemas.manifest import MANIFEST_NAME
from tunedassist_cli.full.pairs import Places, pairs
from tunedassist_cli.full.sampling import Sampling, judged_by_command
from tunedassist_cli.full.systems import System
from tunedassist_cli.full.way import Way
from tunedassist_cli.pipeline import or_how_to_go_on
from tunedassist_cli.redteam import red_team


def learn_preferences(way: Way) -> tuple[Artifact, Artifact]:
    """Preference pairs of the tuned model's own answers, and the adapter after DPO on them."""
    from ta_train.preference.preference import prefer

    preferences = pairs(
        way.steps,
        way.first.dataset,
        way.first.adapter,
        judged_by_command(way.domain, way.settings.benchmark),
        Places.below(way.folder),
        Sampling(prompts=way.limit) if way.limit else Sampling(),
        replace=way.replace,
    )
    preferred = way.steps.take(
        "DPO",
        way.folder / "dpo",
        lambda place: or_how_to_go_on(
            lambda: prefer(
                way.dpo_config,
                preferences.path,
                place,
                adapter=way.first.adapter.path,
                resume=True,
                replace=way.replace,
            )
        ),
    )
    return preferences, preferred


def ship(way: Way, shipped: System) -> Artifact:
    """Merge the adapter (for vLLM, transformers) and export it; GateError where the files are another model."""
    from ta_serve.export.config import ExportConfig
    from ta_serve.export.export import export
    from ta_train.merge.inputs import MergeConfig
    from ta_train.merge.merge import merge

    way.steps.take(
        "merge",
        way.folder / "model",
        lambda place: merge(MergeConfig(), [shipped.path], place, replace=way.replace),
    )
    config = ExportConfig(types=["F16", "Q8_0"], licence=way.settings.license.lower())
    return way.steps.take(
        "export and parity",
        way.folder / "gguf",
        lambda place: export(config, shipped.path, place, replace=way.replace),
    )


def attack_both(way: Way, gguf: Artifact) -> Artifact:
    """Attack the base model and what is to be shipped, both as GGUF in Q8_0; the report of the latter."""
    digest = way.base.model["digest"]
    base = way.steps.take(
        "base model to attack",
        way.folder / f"base-{digest.removeprefix('sha256:')[:8]}",
        lambda place: _base_as_gguf(way, place),
    )
    reports = [
        way.steps.take(
            f"attacks on {name}, raw and guarded",
            way.folder / place,
            lambda place, model=model, attacked=attacked: red_team(  # type: ignore[misc]
                way.domain,
                model.path,
                place,
                stands_for=attacked,
                max_tokens=way.config.max_tokens,
                replace=way.replace,
            ),
        )
        for name, place, model, attacked in (
            ("the base model", "safety-base", base, digest),
            ("the model to ship", "safety-report", gguf, ""),
        )
    ]
    return reports[1]


def _base_as_gguf(way: Way, place: Path) -> Artifact:
    """`place` is named by the base model's digest: what is sealed there is it (a plain folder has no parents by
    which export would know)."""
    from ta_serve.export.config import ExportConfig
    from ta_serve.export.export import export

    if (place / MANIFEST_NAME).exists() and not way.replace:
        return Artifact.open(place, kind="gguf")
    config = ExportConfig(name="base", types=["Q8_0"], skip_parity=True)
    return export(config, way.base.path, place, replace=way.replace)


def tuning_seconds(way: Way, shipped: System) -> float:
    """Seconds of training, and of sampling where DPO took part."""
    seconds = float(way.first.adapter.manifest.metrics["training_s"])
    if shipped.path == way.first.adapter.path:
        return seconds
    samples = json.loads((way.folder / "samples" / "logs" / "speed.json").read_text(encoding="utf-8"))
    preferred = Artifact.open(shipped.path, verify=False)
    return seconds + float(samples["seconds"]) + float(preferred.manifest.metrics["training_s"])


def release(way: Way, out: Path, gguf: Artifact) -> tuple[Artifact | None, GateError | None]:
    """The release with its model card, in the registry beside `out` as the domain's candidate; or why its gate
    refuses it."""
    from tunedassist_cli.release.champion import add_candidate, champion_of
    from tunedassist_cli.release.release import make_release

    registry = out.parent / "registry.sqlite"
    with way.steps.timed("release"):
        champion = champion_of(way.settings.name, registry=registry)
        try:
            made = make_release(
                out, way.domain, model=gguf.path, champion=champion, replace=way.replace
            ).artifact
        except GateError as error:
            return None, error
        add_candidate(made, registry=registry)
    return made, None
