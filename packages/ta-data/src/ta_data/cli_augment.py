"""`ta-data augment`: synthetic rows from a teacher, or paraphrases from templates."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.progress import Progress


def augment_command(
    source: Annotated[Path, typer.Argument(help="Documents or conversations: JSON lines, a corpus, a folder.")],
    kind: Annotated[
        Literal["questions", "paraphrase", "multi-turn", "unanswerable", "hard-negative", "distill"],
        typer.Option(help="questions and unanswerable: from documents; the others: from conversations."),
    ] = "questions",
    out: Annotated[Path | None, typer.Option(help="Where the rows go. Default: stdout.")] = None,
    teacher: Annotated[
        str, typer.Option(help="Base URL of an OpenAI-compatible server, such as http://localhost:8000/v1.")
    ] = "",
    model: Annotated[str, typer.Option(help="The teacher's name on that server.")] = "",
    key_variable: Annotated[
        str, typer.Option(help="The environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    offline: Annotated[
        bool, typer.Option("--offline", help="Paraphrase by templates, without a teacher.")
    ] = False,
    count: Annotated[int, typer.Option(min=1, help="Rows asked for in a request.")] = 3,
    domain: Annotated[
        Path | None, typer.Option(help="A domain folder: its system prompt, answer style and refusal are used.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only tell requests, tokens and cost; nothing is sent.")
    ] = False,
    price_in: Annotated[float, typer.Option(help="Price of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="Price of a million completion tokens.")] = 0.0,
    cache: Annotated[
        Path | None, typer.Option(help="Replies are kept here; the same command goes on from it.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 4,
    per_minute: Annotated[int, typer.Option(help="Requests a minute at most; 0: no limit.")] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a reply.")] = 120.0,
    attempts: Annotated[int, typer.Option(min=1, help="Attempts for each request.")] = 4,
    rejected: Annotated[Path | None, typer.Option(help="Write what was turned away, with the reason.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Where the JSON summary goes. Default: stderr.")] = None,
) -> None:
    """Write new rows with a teacher: each is validated, marked and traceable.

    Replies are cached: a run that was stopped goes on where it was. A reply that is
    rubbish, late or a repetition costs its own rows and no others.

    Example: ta-data augment runs/x/corpus --teacher http://localhost:8000/v1 --model big --out new.jsonl

    Example: ta-data augment rows.jsonl --kind paraphrase --offline --out more.jsonl
    """
    from ta_data.augment import augment as stage
    from ta_data.pipe import write_summary
    from ta_schemas.errors import InputError, Stopped

    if offline:
        if kind != "paraphrase":
            raise InputError(f"--offline: templates only paraphrase: pass --kind paraphrase, not {kind}")
        write_summary(stage.offline(source, count, out), summary)
        return
    wanted = stage.wanted_asks(source, kind, count)
    if not wanted:
        what = "documents (rows with text)" if kind in ("questions", "unanswerable") else "conversations"
        raise InputError(f"{source}: no {what} in it, which --kind {kind} is made from")
    if estimate:
        guess = stage.Estimate.of(wanted, count=count, price_in=price_in, price_out=price_out)
        write_summary(guess._asdict(), summary)
        return
    if not teacher or not model:
        raise InputError("--teacher and --model: name the server's base URL and the model, or pass --offline")
    from ta_data.augment.teacher import Teacher

    system, refusal, style = _domain(domain)
    place = cache or (out.with_name(f"{out.name}.cache.jsonl") if out else Path("augment.cache.jsonl"))
    asked = Teacher(
        teacher,
        model,
        place,
        key=os.environ.get(key_variable, ""),
        timeout_s=timeout,
        attempts=attempts,
        per_minute=per_minute,
    )
    try:
        with asked, _bar() as bar:
            task = bar.add_task("asking", total=len(wanted))
            result = stage.augment(
                wanted,
                kind,
                asked,
                out,
                refusal=refusal,
                system=system,
                style=style,
                concurrency=concurrency,
                rejected=rejected,
                progress=lambda done, _: bar.update(task, completed=done),
            )
    except KeyboardInterrupt:
        raise Stopped(f"stopped; {place} keeps the replies: the same command goes on") from None
    write_summary(result, summary)


def _domain(folder: Path | None) -> tuple[str, str, list[str]]:
    if folder is None:
        return "", "I do not know that.", []
    from ta_data.domain import load_domain

    domain = load_domain(folder)[1]
    return domain.system_prompt, domain.refusal or "I do not know that.", domain.answer_style


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)
