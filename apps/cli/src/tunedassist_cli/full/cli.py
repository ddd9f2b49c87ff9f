"""`tunedassist pairs` and `tunedassist quant-study`."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

DomainArgument = Annotated[str, typer.Argument(help="A domain folder, or its name below ./data.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


@app.command("pairs")
def pairs_command(
    domain: DomainArgument,
    adapter: Annotated[
        Path | None, typer.Option(help="The tuned adapter that answers. Default: runs/NAME/adapter.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Whose training questions are asked. Default: runs/NAME/dataset.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for samples and preferences. Default: runs/NAME/all.")
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, help="Questions that are asked.")] = 400,
    samples: Annotated[int, typer.Option(min=2, help="Answers to each.")] = 3,
    temperature: Annotated[float, typer.Option(min=0.1, max=2, help="How bold the answers are.")] = 0.7,
    seed: Annotated[int, typer.Option(min=0, help="Other draws.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace what another run left at --out.")] = False,
    as_json: Json = False,
) -> None:
    """Preference pairs of the tuned model's own answers, better and worse, for `tunedassist train dpo`.

    Each training question is answered several times and the answers are scored against the known one; after
    Ctrl-C the same command goes on.

    Example: `tunedassist pairs linux-cli`

    Example: `tunedassist pairs linux-cli --prompts 800 --samples 6 --out runs/more-pairs`
    """
    from ta_schemas import Artifact, InputError
    from tunedassist_cli.full.pairs import STEPS, Places, in_words, pairs
    from tunedassist_cli.full.sampling import Sampling, judged_by_command
    from tunedassist_cli.pipeline import Steps, find_domain, installed

    with installed("data"):
        from ta_data.domain import load_domain

    folder = find_domain(domain)
    root, settings = load_domain(folder)
    if not settings.benchmark:
        raise InputError(f"{root / 'domain.yaml'}: benchmark: missing: it says how answers are scored")
    runs = Path("runs") / folder.resolve().name
    preferences = pairs(
        Steps(total=STEPS),
        Artifact.open(dataset or runs / "dataset", kind="dataset"),
        Artifact.open(adapter or runs / "adapter", kind="adapter"),
        judged_by_command(root, settings.benchmark),
        Places.below(out or runs / "all"),
        Sampling(prompts, samples, temperature, seed),
        replace=force,
    )
    if as_json:
        facts = {"path": str(preferences.path), "digest": preferences.digest}
        print(json.dumps({**facts, **preferences.manifest.metrics}))
    else:
        print(f"{in_words(preferences)}\n{preferences.path}")


@app.command("quant-study")
def quant_study_command(
    domain: DomainArgument,
    gguf: Annotated[
        Path | None, typer.Option(help="A gguf artifact with an F16 file. Default: runs/NAME/gguf.")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="JSONL with conversations and answers. Default: runs/NAME/dataset/test.jsonl."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Default: runs/NAME/quant-study.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Q8_0, Q6_K, …; repeat it. Default: five usual ones.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only N items of the benchmark.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Answer tokens whose likelihood is scored.")] = 1000,
    force: Annotated[bool, typer.Option("--force", help="Replace what another run left at --out.")] = False,
    as_json: Json = False,
) -> None:
    """Each quantization's size, speed, perplexity and answers to the benchmark, paired with F16; which to take.

    Example: `tunedassist quant-study linux-cli`

    Example: `tunedassist quant-study linux-cli --type Q8_0 --type Q4_K_M --limit 60`
    """
    from tunedassist_cli.full.quant import as_dict, quant_study, table
    from tunedassist_cli.pipeline import find_domain

    folder = find_domain(domain)
    runs = Path("runs") / folder.resolve().name
    place = out or runs / "quant-study"
    found = quant_study(
        folder,
        gguf or runs / "gguf",
        texts or runs / "dataset" / "test.jsonl",
        place,
        types=types or (),
        limit=limit,
        max_tokens=max_tokens,
        replace=force,
    )
    if as_json:
        print(json.dumps(as_dict(found)))
    else:
        print(
            "\n".join(
                [*table(found), f"Take {found.recommended}: {found.reason}.", str(place / "quant-study.md")]
            )
        )
