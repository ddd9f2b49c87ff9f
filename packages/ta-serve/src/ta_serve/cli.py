"""`ta-serve`: chat with a tuned artifact or a base model, answer a file of questions, measure under load."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from ta_schemas.errors import exit_with_one_line
from ta_serve.cli_export import app as export_app
from ta_serve.cli_options import (
    ApiKeyEnv,
    Device,
    Dtype,
    Engine,
    IndexOf,
    Lora,
    MaxTokens,
    Model,
    Seed,
    ServerModel,
    System,
    Temperature,
    Threads,
    open_index,
    open_model,
)

app = typer.Typer(
    help="Answer messages with a base model or a tuned artifact.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(export_app)


@app.command()
def chat(
    path: Model,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Ask this, answer, leave.")] = None,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = 0,
    engine: Engine = "auto",
    model: ServerModel = None,
    api_key_env: ApiKeyEnv = "OPENAI_API_KEY",
    lora: Lora = None,
    threads: Threads = 0,
    index: IndexOf = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="With --message: the answer as JSON.")] = False,
) -> None:
    """Talk to a model; answers stream. Ctrl-C stops an answer, Ctrl-D leaves.

    Example: ta-serve chat runs/linux-cli/gguf

    Example: ta-serve chat smollm2-135m-instruct --message "How do I list hidden files?"

    Example: ta-serve chat http://127.0.0.1:11434 --engine ollama --model linux-cli

    Example: ta-serve chat runs/linux-cli/gguf --index data/linux-cli/raw
    """
    from functools import partial

    from ta_schemas import InputError
    from ta_serve.chat import Answer, ask_once, converse
    from ta_serve.completion import Asking, ChatMessage
    from ta_serve.retrieve.ground import ground, grounded

    if as_json and message is None:
        raise InputError("--json: only together with --message")
    passages = open_index(index)
    opened = open_model(path, engine, model, api_key_env, lora, threads, device, dtype)
    with opened:
        defaults = opened.settings.generation
        prompt = opened.settings.system_prompt if system is None else system
        asking = Asking(
            max_tokens=defaults.max_tokens if max_tokens is None else max_tokens,
            temperature=defaults.temperature if temperature is None else temperature,
            seed=seed,
        )
        if as_json and message is not None:
            opening: list[ChatMessage] = [{"role": "system", "content": prompt}] if prompt else []
            asked: list[ChatMessage] = [*opening, {"role": "user", "content": message}]
            found = ground(passages, asked) if passages else None
            (said,) = opened.generate([found.messages if found else asked], **asking)
            citations = {"citations": found.citations(said.text)} if found else {}
            print(json.dumps({**said._asdict(), **citations}, ensure_ascii=False))
            return
        answer: Answer = partial(opened.stream, **asking)
        if passages:
            answer = grounded(answer, passages)
        if message is None:
            converse(answer, system=prompt, name=path)
        else:
            ask_once(answer, message, system=prompt)


@app.command()
def generate(
    path: Model,
    source: Annotated[
        Path,
        typer.Option("--in", help='JSONL with "messages" (and "id"), such as a benchmark.'),
    ],
    out: Annotated[Path, typer.Option("--out", help="Where the answers go; `ta-eval score` reads them.")],
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = 0,
    max_batch_tokens: Annotated[
        int,
        typer.Option(min=1, help="transformers: largest batch, conversations x (longest prompt + max tokens)."),
    ] = 8192,
    engine: Engine = "auto",
    model: ServerModel = None,
    api_key_env: ApiKeyEnv = "OPENAI_API_KEY",
    lora: Lora = None,
    threads: Threads = 0,
    index: IndexOf = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Answer a file of conversations, in batches.

    Example: ta-serve generate runs/linux-cli/adapter --in data/linux-cli/benchmark.jsonl --out answers.jsonl
    """
    from rich.console import Console
    from rich.progress import Progress

    from ta_schemas import InputError
    from ta_serve.generate import generate as answer_all
    from ta_serve.generate import read_prompts
    from ta_serve.open import settings_of
    from ta_serve.retrieve.ground import ground

    if out.exists() and not force:
        raise InputError(f"{out}: is there already: pass --force or name another --out")
    settings = settings_of(path, engine=engine)
    prompts = read_prompts(source, system=settings.system_prompt if system is None else system)
    if passages := open_index(index):
        prompts = {key: ground(passages, messages).messages for key, messages in prompts.items()}
    opened = open_model(path, engine, model, api_key_env, lora, threads, device, dtype)
    opened.max_batch_tokens = max_batch_tokens
    defaults = opened.settings.generation
    started = time.monotonic()
    with opened, Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("answers", total=len(prompts))
        done = answer_all(
            opened,
            prompts,
            out,
            max_tokens=defaults.max_tokens if max_tokens is None else max_tokens,
            temperature=defaults.temperature if temperature is None else temperature,
            seed=seed,
            progress=lambda ready: bar.advance(task, ready),
        )
    seconds = time.monotonic() - started
    if as_json:
        print(json.dumps({"out": str(out), **done._asdict(), "seconds": round(seconds, 2)}))
        return
    print(
        f"{done.rows} answers in {out}, {done.completion_tokens} tokens at "
        f"{done.completion_tokens / seconds:.0f} tokens/s, {done.cut_off} cut off at the longest length"
    )


@app.command()
def bench(
    path: Model,
    source: Annotated[
        Path | None,
        typer.Option("--in", help='JSONL with "messages": conversations to ask. Without it six built-in ones.'),
    ] = None,
    clients: Annotated[
        list[int] | None, typer.Option(min=1, help="At the same time; repeat it. Default: 1, 4 and 16.")
    ] = None,
    requests: Annotated[int, typer.Option(min=1, help="Of each number of clients, at least.")] = 16,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 64,
    engine: Engine = "auto",
    model: ServerModel = None,
    api_key_env: ApiKeyEnv = "OPENAI_API_KEY",
    lora: Lora = None,
    threads: Threads = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Tokens per second and time to first token of a model, or of a server by its URL, under load.

    Example: ta-serve bench runs/linux-cli/gguf

    Example: ta-serve bench http://127.0.0.1:8000/v1 --clients 8 --in data/linux-cli/benchmark.jsonl
    """
    from ta_serve.bench import measure, table
    from ta_serve.export.progress import steps
    from ta_serve.generate import read_prompts
    from ta_serve.open import settings_of
    from ta_serve.parity.chats import built_in_chats

    prompt = settings_of(path, engine=engine).system_prompt
    built_in = [chat.messages for chat in built_in_chats(system=prompt) if chat.messages[0]["role"] == "system"]
    asked = list(read_prompts(source, system=prompt).values()) if source else built_in
    with (
        open_model(path, engine, model, api_key_env, lora, threads, device, dtype) as opened,
        steps("bench") as say,
    ):
        loads = measure(
            opened, asked, clients=clients or (1, 4, 16), requests=requests, max_tokens=max_tokens, say=say
        )
    print(json.dumps([load._asdict() for load in loads]) if as_json else "\n".join(table(loads)))


def main() -> None:
    """Entry point of `ta-serve`."""
    exit_with_one_line(app)
