"""`tunedassist-demo`: a tuned assistant in the browser, with its rails, its reports and its lineage."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def demo_command(
    run: Annotated[Path, typer.Option(help="What `just train` and `just serve` made.")] = Path(
        "runs/linux-cli"
    ),
    model: Annotated[
        str,
        typer.Option(help="GGUF file, artifact, or URL of a server. Default: what the run holds, GGUF first."),
    ] = "",
    domain: Annotated[
        Path | None,
        typer.Option(help="Folder with domain.yaml: rails, attacks. Default: data/NAME of the run."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one, named at the start.")] = 7860,
    feedback: Annotated[
        Path | None, typer.Option(help="JSONL that thumbs and corrections go to. Default: RUN/feedback.jsonl.")
    ] = None,
    votes: Annotated[
        Path | None, typer.Option(help="Folder of the blind votes (ta-eval ab). Default: RUN/ab.")
    ] = None,
) -> None:
    """Show a tuned assistant in the browser: chat with every rail visible, compare, attack, read the reports.

    Offline; nothing is fetched or sent. What is missing is said in its tab, with the command that makes it.

    Example: tunedassist-demo

    Example: tunedassist-demo --run runs/linux-cli --model http://127.0.0.1:8000/v1 --port 8080

    The key of a server is read from TUNEDASSIST_DEMO_KEY. Ctrl-C ends the demo.
    """
    from tunedassist_gradio_demo.demo import open_demo
    from tunedassist_gradio_demo.serve import serve

    if host not in ("127.0.0.1", "localhost"):
        print(
            f"warning: {host}: whoever reaches this address may use the demo: it asks for no key",
            file=sys.stderr,
        )
    serve(open_demo(run, model=model, domain=domain, feedback=feedback, votes=votes), host, port)


def main() -> None:
    """Entry point. Variables of a `.env` in the current folder count where the environment has none."""
    from dotenv import load_dotenv

    from ta_schemas.errors import exit_with_one_line

    load_dotenv(Path(".env"))
    exit_with_one_line(app)
