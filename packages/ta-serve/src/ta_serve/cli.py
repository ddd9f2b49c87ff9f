"""`ta-serve`: chat with a tuned artifact or a base model, answer a file of questions."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ta_schemas.errors import exit_with_one_line
from ta_serve import cli_export
from ta_serve.cli_export import app as export_app
from ta_serve.open import EngineName

app = typer.Typer(
    help="Answer messages with a base model or a tuned artifact.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(export_app)

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A GGUF file, a gguf, adapter or model artifact, a Hugging Face model folder, "
        "smollm2-135m-instruct (embedded), or the URL of a server.",
    ),
]
System = Annotated[
    str | None, typer.Option(help="System prompt; without it the one that the model was tuned with, if any.")
]
MaxTokens = Annotated[
    int | None, typer.Option(min=1, help="Longest answer; without it what the artifact says, else 256.")
]
Temperature = Annotated[
    float | None,
    typer.Option(min=0, help="0: always the likeliest token; without it what the artifact says, else 0."),
]
Seed = Annotated[int, typer.Option(help="Another seed draws other answers, if the temperature is not 0.")]
Engine = Annotated[
    EngineName,
    typer.Option(
        help="auto: llama-cpp for GGUF, transformers for folders, openai-http for URLs. xllamacpp: "
        "llama-server from a wheel. ollama: its native API.",
    ),
]
ServerModel = Annotated[
    str | None, typer.Option("--model", help="With a URL: which of the server's models; without it the first.")
]
ApiKeyEnv = Annotated[
    str, typer.Option(help="With a URL: the environment variable that holds the API key, if it wants one.")
]
Lora = Annotated[
    Path | None, typer.Option(help="llama-cpp: a LoRA adapter as a GGUF file, put over the model.")
]
Threads = Annotated[
    int, typer.Option(min=0, help="llama-cpp and xllamacpp: threads; 0: one for each real core.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps. auto: the GPU if there is one.")]
Dtype = Annotated[
    str,
    typer.Option(help="auto, float32, bfloat16 or float16. auto: bfloat16, but float32 on a CPU without it."),
]


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
    device: Device = "auto",
    dtype: Dtype = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="With --message: the answer as JSON.")] = False,
) -> None:
    """Talk to a model; answers stream. Ctrl-C stops an answer, Ctrl-D leaves.

    Example: ta-serve chat runs/linux-cli/gguf

    Example: ta-serve chat smollm2-135m-instruct --message "How do I list hidden files?"

    Example: ta-serve chat http://127.0.0.1:11434 --engine ollama --model linux-cli
    """
    from ta_schemas import InputError
    from ta_serve.chat import ask_once, converse
    from ta_serve.completion import Asking, ChatMessage

    if as_json and message is None:
        raise InputError("--json: only together with --message")
    opened = _open(path, engine, model, api_key_env, lora, threads, device, dtype)
    with opened:
        defaults = opened.settings.generation
        prompt = opened.settings.system_prompt if system is None else system
        asking = Asking(
            max_tokens=defaults.max_tokens if max_tokens is None else max_tokens,
            temperature=defaults.temperature if temperature is None else temperature,
            seed=seed,
        )
        if message is None:
            converse(lambda messages: opened.stream(messages, **asking), system=prompt, name=path)
        elif as_json:
            opening: list[ChatMessage] = [{"role": "system", "content": prompt}] if prompt else []
            (answer,) = opened.generate([[*opening, {"role": "user", "content": message}]], **asking)
            print(json.dumps(answer._asdict(), ensure_ascii=False))
        else:
            ask_once(lambda messages: opened.stream(messages, **asking), message, system=prompt)


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

    if out.exists() and not force:
        raise InputError(f"{out}: is there already: pass --force or name another --out")
    settings = settings_of(path, engine=engine)
    prompts = read_prompts(source, system=settings.system_prompt if system is None else system)
    opened = _open(path, engine, model, api_key_env, lora, threads, device, dtype)
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


def _open(
    path: str,
    engine: EngineName,
    model: str | None,
    api_key_env: str,
    lora: Path | None,
    threads: int,
    device: str,
    dtype: str,
) -> Any:
    import os

    from ta_serve.open import open_engine

    opened = open_engine(
        path,
        engine=engine,
        model=model,
        api_key=os.environ.get(api_key_env),
        adapters={"lora": lora} if lora else None,
        threads=threads,
        device=device,
        dtype=dtype,
    )
    if lora:
        opened.default_model = "base:lora"
    return opened


# export, merge, quantize, parity, ollama
app.add_typer(cli_export.app)


def main() -> None:
    """Entry point of `ta-serve`."""
    exit_with_one_line(app)
