"""`tunedassist-api`: serve a model over OpenAI's API; make and remove keys."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

app = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"auto_envvar_prefix": "TUNEDASSIST_API"},
)
keys_app = typer.Typer(help="API keys: only their hashes are kept.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

DEFAULT_KEYS_FILE = Path("keys.json")
KeysFile = Annotated[Path, typer.Option("--file", help="Where the hashes are kept.")]


@app.callback(invoke_without_command=True)
def serve_command(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="A GGUF file, an artifact, or the URL of a server to stand before.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one, named in the log.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="Model id that clients name. Default: the file's or run's name.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="auto, llama-cpp, transformers, openai-http, ollama or xllamacpp.")
    ] = "auto",
    adapter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="LoRA adapter (GGUF), model id ID:NAME; may be repeated."),
    ] = None,
    upstream_model: Annotated[str | None, typer.Option(help="With a URL: the model's name there.")] = None,
    context_tokens: Annotated[
        int, typer.Option(min=0, help="Tokens of all running requests together. 0: the model's, up to 8192.")
    ] = 0,
    threads: Annotated[int, typer.Option(min=0, help="0: the real cores.")] = 0,
    parallel: Annotated[int, typer.Option(min=1, help="Requests answered at the same time.")] = 16,
    max_queue: Annotated[int, typer.Option(min=0, help="Requests that may wait; more get 429.")] = 32,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds a request may take.")] = 120,
    drain: Annotated[float, typer.Option(min=0, help="Seconds answers may go on after SIGTERM.")] = 30,
    max_body_bytes: Annotated[int, typer.Option(min=1, help="Larger bodies get 413.")] = 1024 * 1024,
    keys_file: Annotated[
        Path | None, typer.Option(help="Ask for a key of this file (`tunedassist-api keys add`).")
    ] = None,
    requests_per_minute: Annotated[
        int, typer.Option(min=0, help="For each key, or address where there are none. 0: no limit.")
    ] = 0,
    feedback: Annotated[Path | None, typer.Option(help="JSONL that /v1/feedback appends to.")] = None,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Web origin that may call; may be repeated.")
    ] = None,
    guard: Annotated[
        str,
        typer.Option(metavar="on|off|DOMAIN", help="Rails: the default policy, none, or a domain folder's."),
    ] = "on",
    index: Annotated[
        Path | None,
        typer.Option(help="Ground chats in passages of this corpus artifact, file or folder of text."),
    ] = None,
    log_prompts: Annotated[bool, typer.Option("--log-prompts", help="Log what is asked and said.")] = False,
) -> None:
    """Serve a tuned assistant, or any GGUF file, over an OpenAI-compatible API, until SIGTERM or Ctrl-C.

    Example: tunedassist-api --model smollm2-135m-instruct

    Example: tunedassist-api --model runs/linux-cli/gguf --guard data/linux-cli

    Example: tunedassist-api --model runs/linux-cli/gguf --index data/linux-cli/raw

    Example: tunedassist-api --model model.Q8_0.gguf --host 0.0.0.0 --keys-file keys.json

    Each option is also an environment variable: --max-queue is TUNEDASSIST_API_MAX_QUEUE. Keys themselves may
    stand in TUNEDASSIST_API_KEYS, separated by commas.
    """
    if context.invoked_subcommand is not None:
        return
    if model is None:
        raise typer.BadParameter("which model? pass --model PATH (see --help)")
    from ta_serve.open import EngineName
    from tunedassist_api import logs
    from tunedassist_api.config import Config
    from tunedassist_api.model import load_model, model_name, read_adapters
    from tunedassist_api.retrieval import Retrieval
    from tunedassist_api.safety import load_guard
    from tunedassist_api.server import serve

    known = get_args(EngineName)
    if engine not in known:
        raise typer.BadParameter(f"--engine {engine}: choose one of {', '.join(known)}")
    adapters = read_adapters(adapter or [])

    config = Config(
        host=host,
        port=port,
        name=name or model_name(model),
        parallel=parallel,
        max_queue=max_queue,
        deadline_s=deadline,
        drain_s=drain,
        max_body_bytes=max_body_bytes,
        keys_file=keys_file,
        requests_per_minute=requests_per_minute,
        feedback=feedback,
        cors_origins=tuple(cors_origin or ()),
        log_prompts=log_prompts,
    )
    logs.set_up()
    load = partial(
        load_model,
        model,
        engine=cast(EngineName, engine),
        adapters=adapters,
        context_tokens=context_tokens,
        parallel=parallel,
        threads=threads,
        upstream_model=upstream_model,
    )
    retrieval = Retrieval(index) if index else None
    serve(load, config, guard=load_guard(guard), retrieval=retrieval)


@keys_app.command("add")
def add_command(
    name: Annotated[str, typer.Argument(help="Whose key it is; stands in the log.")],
    file: KeysFile = DEFAULT_KEYS_FILE,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=0, help="Its own limit; 0: none. Default: the server's.")
    ] = None,
) -> None:
    """Make a key and print it: it cannot be shown again.

    Example: tunedassist-api keys add alice --requests-per-minute 60
    """
    from tunedassist_api.keys import add_key

    print(add_key(file, name, requests_per_minute=requests_per_minute))


@keys_app.command("remove")
def remove_command(
    name: Annotated[str, typer.Argument(help="A name of `keys list`.")], file: KeysFile = DEFAULT_KEYS_FILE
) -> None:
    """Remove a key; a running server refuses it from then on.

    Example: tunedassist-api keys remove alice
    """
    from tunedassist_api.keys import remove_key

    remove_key(file, name)


@keys_app.command("list")
def list_command(
    file: KeysFile = DEFAULT_KEYS_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Names, dates and limits of the keys.

    Example: tunedassist-api keys list
    """
    from tunedassist_api.keys import read_keys

    kept = [key.model_dump(exclude={"sha256"}) for key in read_keys(file).keys]
    if as_json:
        print(json.dumps(kept))
        return
    for key in kept:
        limit = key["requests_per_minute"]
        print(f"{key['name']}  {key['created_at']}  {'' if limit is None else f'{limit}/min'}".rstrip())


def main() -> None:
    """Entry point. Variables of a `.env` in the current folder count where the environment has none."""
    from dotenv import load_dotenv

    from ta_schemas.errors import exit_with_one_line

    load_dotenv(Path(".env"))
    exit_with_one_line(app)
