"""Which run and which domain a release is about."""

from pathlib import Path

from ta_schemas import InputError
from tunedassist_cli.pipeline import find_domain
from tunedassist_cli.release.found import Found
from tunedassist_cli.release.thresholds import load_release_domain


def find_run(run: str, domain: str = "") -> tuple[Path, Path, str]:
    """The run's folder, its domain's folder and the domain's name.

    A name means `runs/NAME`. Without `domain` it is the one that the run's datasets were made from, looked for
    below ./data. Raises InputError.
    """
    folder = next((place for place in (Path(run), Path("runs") / run) if place.is_dir()), None)
    if folder is None:
        raise InputError(f"no run {run!r}: neither a folder nor a name below ./runs: tunedassist run first")
    named = domain or next(
        (
            str(one.manifest.config["domain"])
            for one in Found(folder).of_kind("dataset")
            if "domain" in one.manifest.config
        ),
        folder.resolve().name,
    )
    place = find_domain(named)
    return folder, place, load_release_domain(place).name
