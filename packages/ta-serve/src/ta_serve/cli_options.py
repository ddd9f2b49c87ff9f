"""Options that `ta-serve chat`, `generate` and `bench` share, and what is opened by them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ta_serve.open import EngineName

if TYPE_CHECKING:
    from ta_serve.retrieve.index import Index

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
IndexOf = Annotated[
    Path | None,
    typer.Option(
        "--index",
        help="Ground answers in passages of this corpus artifact, file or folder of text, found by BM25.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps. auto: the GPU if there is one.")]
Dtype = Annotated[
    str,
    typer.Option(help="auto, float32, bfloat16 or float16. auto: bfloat16, but float32 on a CPU without it."),
]


def open_model(
    path: str,
    engine: EngineName,
    model: str | None,
    api_key_env: str,
    lora: Path | None,
    threads: int,
    device: str,
    dtype: str,
) -> Any:
    """The engine that the options name; with `lora` that is what it answers with."""
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


def open_index(path: Path | None) -> "Index | None":
    """The index that `--index` names."""
    from ta_serve.retrieve.index import Index

    return Index.open(path) if path else None
