"""`tunedassist` (short `ta`): from a domain's data to a measured assistant.

Heavy libraries, and the stages themselves, are imported when a command needs them.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from tunedassist_cli.doctor.cli import doctor_command
from tunedassist_cli.exit_codes import EXIT_CODES
from tunedassist_cli.full.cli import app as full_app
from tunedassist_cli.lineage.cli import lineage_command
from tunedassist_cli.new import new_command
from tunedassist_cli.release.cli import release_command
from tunedassist_cli.stages import REGISTRY_HELP, STAGES, LazyStages

EPILOG = "Exit codes: " + "; ".join(f"{code}: {text.partition(':')[0]}" for code, text in EXIT_CODES.items())

app = typer.Typer(
    cls=LazyStages,
    help="Tune an assistant on your domain, measure whether it helped, talk to it.\n\n"
    "Start: `tunedassist run linux-cli`, then `tunedassist chat runs/linux-cli/adapter`.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


@app.command("run")
def run_command(
    domain: Annotated[str, typer.Argument(help="A domain folder, or its name below ./data.")],
    out: Annotated[Path | None, typer.Option(help="Where everything goes. Default: runs/NAME.")] = None,
    recipe: Annotated[
        str, typer.Option(help="A recipe (`tunedassist train recipes` lists them) or a YAML file.")
    ] = "cpu-smollm2",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe; may be repeated."),
    ] = None,
    base_model: Annotated[
        str | None, typer.Option(help="Another base model than the recipe's: name, folder, .gguf, hub id.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Stop the training after this many optimizer steps.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask only the first N items of each set: a run cut short.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the training; the recipe's unless set.")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Then preferences, DPO, export, every system measured, attacks, release."),
    ] = False,
    dpo_recipe: Annotated[str, typer.Option(help="With --all: the recipe of DPO.")] = "cpu-smollm2-dpo",
    force: Annotated[bool, typer.Option("--force", help="Replace what another run left at --out.")] = False,
    as_json: Json = False,
) -> None:
    """Data, base model, measured before, tuning, measured after, report; with --all the whole way to a release.

    What is sealed already with the same inputs is skipped; after Ctrl-C the same command goes on.

    Example: `tunedassist run linux-cli`

    Example: `tunedassist run data/linux-cli --max-steps 6 --limit 10 --out runs/try`

    Example: `tunedassist run linux-cli --all`
    """
    from tunedassist_cli.pipeline import find_domain, run
    from tunedassist_cli.summary import as_dict, print_summary

    folder = find_domain(domain)
    place = out or Path("runs") / folder.resolve().name
    options: dict[str, Any] = {
        "recipe": recipe,
        "overrides": overrides or [],
        "base_model": base_model,
        "max_steps": max_steps,
        "limit": limit,
        "seed": seed,
        "replace": force,
    }
    if everything:
        _run_all(folder, place, {**options, "dpo_recipe": dpo_recipe}, as_json=as_json)
        return
    result = run(folder, place, **options)
    if as_json:
        print(json.dumps(as_dict(result), ensure_ascii=False))
    else:
        print_summary(result)


def _run_all(domain: Path, out: Path, options: dict[str, Any], *, as_json: bool) -> None:
    """The whole way; a refused release is told after the summary."""
    from tunedassist_cli.full.run_all import run_all
    from tunedassist_cli.full.summary import as_dict, print_summary

    whole = run_all(domain, out, **options)
    if as_json:
        print(json.dumps(as_dict(whole), ensure_ascii=False))
    else:
        print_summary(whole)
    if whole.refused:
        raise whole.refused


app.command("new")(new_command)


@app.command("chat")
def chat_command(
    target: Annotated[
        str, typer.Argument(metavar="PATH|URL", help="An artifact, a model folder, or a server's base URL.")
    ],
    message: Annotated[str | None, typer.Option("--message", "-m", help="Ask this, answer, leave.")] = None,
    system: Annotated[
        str | None, typer.Option(help="System prompt; without it the one the model was tuned with.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0: always the likeliest token.")] = None,
    model: Annotated[str | None, typer.Option(help="With a URL: the model's name there.")] = None,
    api_key_env: Annotated[
        str, typer.Option(help="With a URL: the environment variable that holds the API key.")
    ] = "OPENAI_API_KEY",
    as_json: Json = False,
) -> None:
    """Talk to a tuned artifact, a base model or an OpenAI-compatible server; answers stream.

    Example: `tunedassist chat runs/linux-cli/adapter`

    Example: `tunedassist chat http://127.0.0.1:8080/v1 --model smollm2 -m "How do I list files?"`
    """
    from tunedassist_cli.chat import chat

    chat(
        target,
        message=message,
        system=system,
        max_tokens=max_tokens,
        temperature=temperature,
        model=model,
        api_key_env=api_key_env,
        as_json=as_json,
    )


@app.command("sweep")
def sweep_command(
    domain: Annotated[str, typer.Argument(help="A domain folder, or its name below ./data.")],
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V,V,…",
            help="Values of a key; repeated: every combination. With --trials also LOW..HIGH.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where everything goes. Default: runs/NAME-sweep.")] = None,
    recipe: Annotated[
        str, typer.Option(help="A recipe (`tunedassist train recipes` lists them) or a YAML file.")
    ] = "cpu-smollm2",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key for all trials; may be repeated."),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=0, help="Let Optuna draw this many settings; 0: train every combination.")
    ] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only N items of the benchmark.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what another run left at --out.")] = False,
    as_json: Json = False,
) -> None:
    """A rank study, or any other: the recipe under many settings, each scored on the domain's benchmark.

    Loss, score, time and memory of each in a table and a plot; the default is LoRA's ranks 4, 8, 16, 32.
    What is finished is kept; after Ctrl-C the same command goes on.

    Example: `tunedassist sweep linux-cli --set max_steps=40`

    Example: `tunedassist sweep linux-cli --over learning_rate=5e-4,1e-3,2e-3 --limit 60`
    """
    from tunedassist_cli.pipeline import find_domain, installed
    from tunedassist_cli.sweep import sweep_domain

    with installed("train"):
        from ta_train.sweep.cli import show

    folder = find_domain(domain)
    place = out or Path("runs") / f"{folder.resolve().name}-sweep"
    found = sweep_domain(
        folder,
        place,
        over=over or ["lora_rank=4,8,16,32"],
        recipe=recipe,
        overrides=overrides or [],
        trials=trials,
        limit=limit,
        replace=force,
    )
    show(found, place, as_json=as_json)


@app.command("redteam")
def redteam_command(
    domain: Annotated[str, typer.Argument(help="A domain folder, or its name below ./data.")],
    model: Annotated[
        Path | None, typer.Option(help="Adapter, model or GGUF to attack. Default: runs/NAME/adapter.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Default: runs/NAME/safety-report.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed asks in other words.")] = 0,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer; as tuned unless set.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another report at --out.")] = False,
    as_json: Json = False,
) -> None:
    """Attack a tuned model raw and behind the guard: every scenario of the domain in every style.

    Killed? The same command goes on. A server is attacked by `tunedassist safety scan`.

    Example: `tunedassist redteam linux-cli`
    """
    from tunedassist_cli.pipeline import find_domain, installed
    from tunedassist_cli.redteam import red_team

    with installed("safety"):
        from ta_safety.cli_attack import print_scan

    folder = find_domain(domain)
    runs = Path("runs") / folder.resolve().name
    report = red_team(
        folder,
        model or runs / "adapter",
        out or runs / "safety-report",
        seed=seed,
        max_tokens=max_tokens,
        replace=force,
    )
    print_scan(report, as_json=as_json)


app.command("release", rich_help_panel="Release")(release_command)
app.command("lineage", rich_help_panel="Release")(lineage_command)
app.command("doctor")(doctor_command)


@app.command("exit-codes")
def exit_codes_command(as_json: Json = False) -> None:
    """What the exit codes mean.

    Example: `tunedassist exit-codes --json`
    """
    if as_json:
        print(json.dumps({str(code): text for code, text in EXIT_CODES.items()}))
        return
    for code, text in EXIT_CODES.items():
        print(f"{code:>3}  {text}")


app.add_typer(full_app)


def _stub() -> None:
    raise AssertionError("a stage is loaded before it is called")


app.command("registry", help=REGISTRY_HELP, rich_help_panel="Release")(_stub)
for _name, _stage in STAGES.items():
    app.command(_name, help=_stage.help, rich_help_panel="Stages")(_stub)


def main() -> None:
    """Entry point: an expected error is one line on stderr and a code of the table.

    Variables of a `.env` in the current folder are taken over, where the environment does not have them.
    """
    from dotenv import load_dotenv

    load_dotenv(Path(".env"))
    try:
        code = get_command(app).main(prog_name="tunedassist", standalone_mode=False)
    except TyperException as error:
        _refuse(error)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - sorted out there, traceback included
        _leave(error)
    if code == 130:
        _leave(KeyboardInterrupt())
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(error: TyperException) -> None:
    """A wrong command line; a group without a command shows its help instead."""
    message = error.format_message()
    if "\n" in message.strip() or not message.strip():
        print(message, file=sys.stderr)
    else:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "tunedassist"
        print(f"error: {message} (see {command} --help)", file=sys.stderr)
    sys.exit(error.exit_code)


def _leave(error: BaseException) -> None:
    # Not imported above: ta_schemas loads pydantic, which `--help` does without.
    from ta_schemas.errors import exit_with_one_line

    def again() -> None:
        raise error

    exit_with_one_line(again)
