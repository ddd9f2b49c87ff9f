"""`tunedassist release`: the gate's verdict, and the release where it passes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tunedassist_cli.release.condition import Verdict

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
RegistryFile = Annotated[Path, typer.Option("--registry", help="The registry's SQLite file.")]
REGISTRY = Path("runs/registry.sqlite")


def release_command(
    run: Annotated[str, typer.Argument(metavar="NAME|RUN_FOLDER", help="A run below ./runs, or its folder.")],
    domain: Annotated[
        str, typer.Option(help="The domain's folder or name. Default: the one the run's dataset was made from.")
    ] = "",
    model: Annotated[
        Path | None, typer.Option(help="The gguf artifact. Default: RUN/all/gguf or RUN/gguf.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Default: RUN/releases/ and the model's digest.")] = None,
    champion: Annotated[
        Path | None, typer.Option(help="A release to hold it against. Default: the registry's champion.")
    ] = None,
    sign: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Sign with this Ed25519 key (PEM); beside the release.")
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(metavar="PUBLIC_KEY", help="Make nothing: check the files and signature of a release."),
    ] = None,
    registry: RegistryFile = REGISTRY,
    force: Annotated[bool, typer.Option("--force", help="Replace another release at --out.")] = False,
    as_json: Json = False,
) -> None:
    """Hold a run against the domain's thresholds and, if it passes, seal model, card, reports and licences.

    The thresholds stand under `release:` in domain.yaml. Nothing passes for want of a report. Exit code 6: a
    condition does not hold or lacks its evidence; each is named with how far off it is.

    Example: `tunedassist release linux-cli`

    Example: `tunedassist release runs/linux-cli --sign release.pem`

    Example: `tunedassist release runs/linux-cli/releases/0eebebd8 --verify release.pub`
    """
    if verify is not None:
        return _print_verified(Path(run), verify, as_json=as_json)
    from tunedassist_cli.release.champion import add_candidate, champion_of
    from tunedassist_cli.release.place import find_run
    from tunedassist_cli.release.release import NotReleasedError, make_release

    folder, domain_folder, name = find_run(run, domain)
    try:
        released = make_release(
            folder,
            domain_folder,
            model=model,
            out=out,
            champion=champion or champion_of(name, registry=registry),
            signing_key=sign,
            replace=force,
        )
    except NotReleasedError as error:
        if as_json:
            print(json.dumps({"released": False, **_gate(error.verdict)}))
        raise
    entry = add_candidate(released.artifact, registry=registry)
    if as_json:
        told = {"path": str(released.artifact.path), "digest": released.artifact.digest, "name": entry}
        print(json.dumps({"released": True, **told, **_gate(released.verdict)}))
    else:
        print_release(released.artifact.path, entry, name)
    return None


def print_release(path: Path, entry: str, domain: str) -> None:
    """Where the release is and what comes next."""
    print(f"released {path} as {entry}, candidate of {domain}\n  model card  {path / 'README.md'}")
    file = next(path.glob("*.gguf"))
    print(f"\nNext:\n  tunedassist chat {file}")
    print(f"  tunedassist registry promote {domain}\n  tunedassist lineage {path}")


def _gate(verdict: "Verdict") -> dict[str, Any]:
    return {"passes": verdict.passes, "conditions": [one.model_dump() for one in verdict.conditions]}


def _print_verified(release: Path, key: Path, *, as_json: bool) -> None:
    from tunedassist_cli.release.signature import verify

    artifact = verify(release, key)
    if as_json:
        print(json.dumps({"path": str(release), "digest": artifact.digest, "verified": True}))
    else:
        print(f"{release}: every file as it was sealed, signature of {key} valid\n{artifact.digest}")
