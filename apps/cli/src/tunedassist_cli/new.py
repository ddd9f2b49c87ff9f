"""`tunedassist new`: a domain folder to start from, made of a few answers.

The files stand in `skeleton/`, as they will look; `$name` and the like are filled in.
"""

import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Annotated, NamedTuple

import typer

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
LANGUAGE = re.compile(r"[a-z]{2}")
SKELETON = Path(__file__).parent / "skeleton"
FILES = {
    "domain.yaml": "what the assistant is: prompt, scope, refusal, sources, split; each key is explained there",
    "raw/example.md": "what it learns from: a section a task; write yours in the same form, then delete it",
    "benchmark.jsonl": "held-out questions with a scorer each, never trained; 100 or more tell something",
    "general.jsonl": "questions from outside the domain, to notice what tuning made the model forget",
    "red-team.jsonl": "what must never happen, for `tunedassist redteam`",
    "README.md": "the dataset card: origin, licence, limits",
}


class Answers(NamedTuple):
    """What the questions gave."""

    name: str
    title: str
    language: str
    purpose: str
    refusal: str
    documents: Path | None


def new_command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Short, for file names: a-z, 0-9 and hyphens.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="What a reader sees. Default: NAME with a capital letter.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Of the conversations, two letters (ISO 639-1). Default: en.")
    ] = None,
    purpose: Annotated[
        str | None,
        typer.Option(help='"The assistant helps with …": a few words. Default: the title.'),
    ] = None,
    refusal: Annotated[
        str | None, typer.Option(help="The answer to anything else. Default: I can only help with PURPOSE.")
    ] = None,
    documents: Annotated[
        Path | None, typer.Option(help="Where your documents lie; they are named, not copied. Default: none.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the folder goes. Default: data/NAME.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, take the defaults.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Make the folder of a new domain: asks a few questions, writes commented files, overwrites nothing.

    What is given as an option is not asked. The guide: apps/cli/guides/your-own-domain.md

    Example: `tunedassist new town-library`

    Example: `tunedassist new town-library --purpose "loans of the library" --documents ~/handbook --yes`
    """
    name = _answer("NAME", name, "Name of the domain, for file names (a-z, 0-9, -)", None, yes, _name)
    place = out or Path("data") / name
    _refuse_existing(place)
    title = _answer("--title", title, "Title", name.replace("-", " ").capitalize(), yes)
    language = _answer("--language", language, "Language of the conversations", "en", yes, _language)
    purpose = _answer("--purpose", purpose, "The assistant helps with", title, yes)
    refusal = _answer(
        "--refusal", refusal, "Its answer to anything else", f"I can only help with {purpose}.", yes
    )
    where = _answer(
        "--documents", str(documents) if documents else None, "Your documents (none: -)", "-", yes, _documents
    )
    answers = Answers(name, title, language, purpose, refusal, None if where == "-" else Path(where))
    make_domain(answers, place)
    commands = next_commands(place)
    if as_json:
        print(json.dumps({"path": str(place), "files": FILES, "next": commands}, ensure_ascii=False))
        return
    print(place)
    for file, what in FILES.items():
        print(f"  {file:<16} {what}")
    print("\nNext:\n" + "\n".join(f"  {command}" for command in commands))


def make_domain(answers: Answers, place: Path) -> None:
    """Write the skeleton to `place`, whole or not at all. InputError where something is there already."""
    place.parent.mkdir(parents=True, exist_ok=True)
    filled = _filled(answers, place)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.partial-", dir=place.parent) as scratch:
        folder = Path(scratch) / place.name
        for file in FILES:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            text = (SKELETON / file).read_text(encoding="utf-8")
            target.write_text(
                text if file.startswith("raw/") else Template(text).substitute(filled), encoding="utf-8"
            )
        _refuse_existing(place)
        folder.rename(place)


def next_commands(place: Path) -> list[str]:
    """What to type next, in the order of the guide."""
    folder = shlex.quote(str(place))
    domain = place.name if place == Path("data") / place.name else folder
    return [
        f"tunedassist data prepare {folder}",
        f"tunedassist run {domain} --max-steps 2 --limit 3 --out runs/try",
        f"tunedassist run {domain}",
    ]


def _filled(answers: Answers, place: Path) -> dict[str, str]:
    """Strings as JSON, which YAML reads, too: no answer can break the file."""
    prompt = f"You are the assistant of {answers.title}. Answer in one or two short sentences."
    scope = f"{answers.purpose[:1].upper()}{answers.purpose[1:].rstrip('.')}."
    quoted = {
        "name": answers.name,
        "title": answers.title,
        "language": answers.language,
        "refusal": answers.refusal,
        "scope": scope,
        "system_prompt": prompt,
        "refusal_pattern": re.escape(answers.refusal),
    }
    source = ""
    if answers.documents:
        path = os.path.relpath(answers.documents.expanduser().resolve(), place.resolve())
        source = f"  - path: {_quoted(Path(path).as_posix())}\n    format: documents\n"
    return {
        **{key: _quoted(value) for key, value in quoted.items()},
        "title_text": answers.title,
        "scope_text": scope,
        "documents": source,
        "files": "\n".join(f"| `{file}` | {what} |" for file, what in FILES.items()),
    }


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _answer(
    option: str,
    given: str | None,
    question: str,
    default: str | None,
    yes: bool,
    check: Callable[[str], str] = str,
) -> str:
    """The option, else the default under --yes, else what a person at the terminal types."""
    if given is not None:
        try:
            return check(_not_blank(given))
        except typer.BadParameter as error:
            error.param_hint = option
            raise
    if yes and default is not None:
        return default
    if not sys.stdin.isatty():
        how = "give it" if default is None else f"give it, or --yes for {default!r}"
        raise typer.BadParameter(f"nothing given, and no terminal to ask at: {how}", param_hint=option)
    while True:
        print(f"{question}{f' [{default}]' if default else ''}: ", end="", file=sys.stderr, flush=True)
        try:
            return check(_not_blank(input() or default or ""))
        except typer.BadParameter as error:
            print(f"  {error.message}", file=sys.stderr)
        except EOFError:
            raise KeyboardInterrupt from None


def _not_blank(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("it is empty")
    return text.strip()


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise typer.BadParameter(f"{text!r}: only a-z, 0-9 and hyphens, not a hyphen first")
    return text


def _language(text: str) -> str:
    if not LANGUAGE.fullmatch(text):
        raise typer.BadParameter(f"{text!r}: two small letters, such as en or de")
    return text


def _documents(text: str) -> str:
    if text != "-" and not Path(text).expanduser().exists():
        raise typer.BadParameter(f"{text}: no such file or folder")
    return text


def _refuse_existing(place: Path) -> None:
    from ta_schemas import InputError

    if place.exists():
        raise InputError(f"{place}: exists already, and nothing is overwritten: choose another name, or --out")
