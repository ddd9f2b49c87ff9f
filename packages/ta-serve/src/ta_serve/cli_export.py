"""`ta-serve export`, `merge`, `quantize`, `parity`, `quant-study`, `search`, `ollama`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ta_serve.cli_options import ApiKeyEnv, ServerModel

if TYPE_CHECKING:
    from ta_serve.parity.chats import Chat

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

Tuned = Annotated[
    Path, typer.Argument(help="An adapter artifact, a model artifact or a Hugging Face model folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at --out.")]
Chats = Annotated[
    Path | None, typer.Option(help="JSONL with held-out conversations, compared besides the built-in twelve.")
]
ChatLimit = Annotated[int, typer.Option(min=1, help="How many conversations of --chats.")]


@app.command()
def export(
    source: Tuned,
    out: Annotated[Path, typer.Option("--out", help="Where the artifact of kind gguf goes.")],
    types: Annotated[
        list[str] | None, typer.Option("--type", help="F16, Q8_0, Q4_K_M, …; repeat it. Default: these three.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the files and of the model in them.")] = "model",
    licence: Annotated[str, typer.Option("--license", help="Of the model, such as apache-2.0.")] = "",
    chats: Chats = None,
    chat_limit: ChatLimit = 20,
    skip_parity: Annotated[
        bool, typer.Option("--skip-parity", help="Do not compare; the manifest will say so.")
    ] = False,
    llama_cpp: Annotated[
        Path | None,
        typer.Option("--llama-cpp", help="A checkout of llama.cpp, whose converter is used instead of ours."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write GGUF files, a LoRA GGUF, a Modelfile; check that they are the model that was measured.

    Example: ta-serve export runs/linux-cli/adapter --out runs/linux-cli/gguf --license apache-2.0
    """
    from ta_serve.export.config import TYPES, ExportConfig
    from ta_serve.export.export import export as write
    from ta_serve.export.progress import steps
    from ta_serve.export.report import export_lines

    config = ExportConfig(
        name=name,
        licence=licence,
        skip_parity=skip_parity,
        types=types or list(TYPES),
    )
    with steps("export") as say:
        held_out = _held_out(chats, chat_limit)
        artifact = write(config, source, out, chats=held_out, checkout=llama_cpp, replace=force, say=say)
    metrics = artifact.manifest.metrics
    print(json.dumps({"out": str(out), **metrics}) if as_json else "\n".join(export_lines(out, metrics)))


@app.command()
def merge(
    source: Tuned,
    out: Annotated[Path, typer.Option("--out", help="Where the artifact of kind model goes.")],
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Merge an adapter into its base as safetensors, without torch: what vLLM loads.

    Example: ta-serve merge runs/linux-cli/adapter --out runs/linux-cli/merged
    """
    from ta_schemas import InputError
    from ta_serve.export.export import PRODUCER
    from ta_serve.export.merged import write_merged
    from ta_serve.export.progress import steps
    from ta_serve.export.serve_notes import vllm_commands
    from ta_serve.export.source import open_source

    with steps("merge") as say:
        say("safetensors")
        opened = open_source(source, any_family=True)
        if opened.lora is None:
            raise InputError(f"{source}: a model without an adapter: there is nothing to merge")
        artifact = write_merged(
            opened.weights,
            opened.tokenizer_dir,
            opened.settings_dir,
            out,
            producer=PRODUCER,
            parents=opened.parents,
            config={},
            replace=force,
        )
    command = vllm_commands(opened, "tuned")[-1].replace("MERGED-FOLDER", str(out))
    if as_json:
        print(json.dumps({"out": str(out), "digest": artifact.digest, "vllm": command}))
    else:
        print(f"{out}: merged. vLLM serves it with:\n{command}")


@app.command()
def quantize(
    source: Annotated[Path, typer.Argument(help="A GGUF file, best in F16.")],
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    kind: Annotated[str, typer.Option("--type", help="Q8_0, Q4_K_M, …: any that llama.cpp has.")] = "Q8_0",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Quantize a GGUF file and say what its tensors became.

    Example: ta-serve quantize model-F16.gguf model-Q6_K.gguf --type Q6_K
    """
    from ta_schemas import InputError
    from ta_serve.export.progress import steps
    from ta_serve.export.quantize import quantize as write

    if out.exists() and not force:
        raise InputError(f"{out}: is there already: pass --force or name another file")
    with steps("quantize") as say:
        say(kind)
        tensors = write(source, out, kind)
    size = out.stat().st_size
    if as_json:
        print(json.dumps({"out": str(out), "size_bytes": size, **tensors._asdict()}))
    else:
        print("\n".join([f"{out}: {size / 2**20:.0f} MiB", *tensors.lines()]))


@app.command()
def parity(
    source: Tuned,
    files: Annotated[
        list[str], typer.Argument(help="GGUF files, a gguf artifact, or the URL of a server up to /v1.")
    ],
    modelfile: Annotated[Path | None, typer.Option(help="Ollama's Modelfile, compared too.")] = None,
    chats: Chats = None,
    chat_limit: ChatLimit = 20,
    max_tokens: Annotated[int, typer.Option(min=1, help="Answer tokens compared, each conversation.")] = 24,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Logits: how near a tie must be for F16 to choose another token.")
    ] = 0.1,
    agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Share of tokens a quantized file must choose too.")
    ] = 0.7,
    model: ServerModel = None,
    api_key_env: ApiKeyEnv = "OPENAI_API_KEY",
    as_json: AsJson = False,
) -> None:
    """Is the model served the model measured? Exit code 6 and the first difference where it is not.

    Example: ta-serve parity runs/linux-cli/adapter runs/linux-cli/gguf

    Example: ta-serve parity runs/linux-cli/adapter http://127.0.0.1:8000/v1
    """
    import os

    from ta_serve.export.progress import steps
    from ta_serve.export.report import parity_lines
    from ta_serve.parity.chats import built_in_chats
    from ta_serve.parity.gate import check_parity, served_by
    from ta_serve.parity.server import Server
    from ta_serve.resolve import resolve

    urls = [file for file in files if file.startswith(("http://", "https://"))]
    servers = [Server(url, model, os.environ.get(api_key_env)) for url in urls]
    given, found_modelfile = served_by([Path(file) for file in files if file not in urls])
    with steps("parity") as say:
        system = resolve(source).settings.system_prompt
        found = check_parity(
            source,
            given,
            [*built_in_chats(system=system), *_held_out(chats, chat_limit)],
            modelfile=modelfile or found_modelfile,
            servers=servers,
            max_tokens=max_tokens,
            tolerance=tolerance,
            agreement=agreement,
            progress=say,
        )
    print(json.dumps(found.as_json()) if as_json else "\n".join(parity_lines(found.as_json())))
    found.demand()


def _held_out(file: Path | None, limit: int) -> "list[Chat]":
    from ta_serve.parity.chats import read_chats

    return read_chats(file, limit=limit) if file else []


@app.command("quant-study")
def quant_study(
    source: Annotated[Path, typer.Argument(help="A GGUF file in F16.")],
    texts: Annotated[Path, typer.Option("--texts", help="JSONL with conversations and their answers.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the table, the plot and the JSON.")],
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Q8_0, Q6_K, …; repeat it. Default: five usual ones.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Answer tokens that are scored.")] = 1000,
    threads: Annotated[int | None, typer.Option(min=1, help="Without it the real cores.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the GGUF files in --out, such as model-Q6_K.gguf.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Size, speed, memory and loss of each quantization on this machine, and which to take.

    Example: ta-serve quant-study runs/linux-cli/gguf/model-F16.gguf --texts runs/linux-cli/dataset/test.jsonl
    --out runs/linux-cli/quant-study
    """
    from ta_serve.engines.llama_cpp.threads import usable_cores
    from ta_serve.export.progress import steps
    from ta_serve.quant_study.study import KINDS, study, table

    with steps("quant-study") as say:
        found = study(
            source,
            texts,
            out,
            kinds=types or KINDS,
            max_tokens=max_tokens,
            threads=threads or usable_cores(),
            keep=keep,
            say=say,
        )
    if as_json:
        print((out / "quant-study.json").read_text(encoding="utf-8").strip())
    else:
        print("\n".join([*table(found), f"Take {found.recommended}: {found.reason}.", f"{out}/quant-study.md"]))


@app.command()
def search(
    source: Annotated[Path, typer.Argument(help="A corpus artifact, or a file or folder of Markdown or text.")],
    query: Annotated[str, typer.Argument(help="A question.")],
    count: Annotated[int, typer.Option("--count", "-k", min=1, help="How many passages.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Find the passages that would ground an answer (BM25).

    Example: ta-serve search data/linux-cli/raw "pack a folder with zstd"
    """
    from ta_serve.retrieve.index import Index

    hits = Index.open(source).search(query, count=count)
    if as_json:
        print(json.dumps([{**hit.document._asdict(), "score": hit.score} for hit in hits], ensure_ascii=False))
        return
    for hit in hits:
        print(f"{hit.document.place}  {hit.score:.2f}\n  {hit.document.text.splitlines()[0]}")


@app.command()
def ollama(
    artifact: Annotated[Path, typer.Argument(help="A gguf artifact.")],
    name: Annotated[str, typer.Option(help="Of the model in Ollama.")] = "tuned",
    message: Annotated[str, typer.Option("--message", "-m", help="Asked once it is there.")] = "Hello",
) -> None:
    """Create the model in an installed Ollama and ask it something.

    Example: ta-serve ollama runs/linux-cli/gguf --name linux-helper -m "How do I list hidden files?"
    """
    from ta_serve.export.ollama.install import create_and_ask

    print(create_and_ask(artifact, name, message))
