"""Arguments and options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

Benchmark = Annotated[Path, typer.Argument(help="Questions, one JSON object a line, such as bench.jsonl.")]
Base = Annotated[Path, typer.Argument(help="Baseline: predictions, or JSON lines id, question, output.")]
Candidate = Annotated[Path, typer.Argument(help="Candidate, over the same items.")]
Out = Annotated[Path, typer.Option(help="Directory to write the artifact to, such as runs/tuned.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the artifact of another run at --out.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Domain = Annotated[
    Path | None, typer.Option(help="domain.yaml whose own scorers the items may name; its code is run.")
]
ConfigFile = Annotated[Path | None, typer.Option(help="YAML file with settings; options given here win.")]

# How a server is asked.
KeyEnv = Annotated[
    str, typer.Option(help="Environment variable with the API key (OPENAI_API_KEY if that is set).")
]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight.")]
Attempts = Annotated[int, typer.Option(min=1, help="Tries on 429, 5xx, lost connections.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Longest wait for an answer, seconds.")]
Temperature = Annotated[float | None, typer.Option(help="0, the default, repeats itself.")]
InputPrice = Annotated[float, typer.Option(min=0, help="USD per million prompt tokens.")]
OutputPrice = Annotated[float, typer.Option(min=0, help="USD per million answer tokens.")]
Budget = Annotated[float, typer.Option(min=0, help="Stop once this many USD are spent; 0: never.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say how many requests, tokens and USD it takes; ask nothing.")
]

# A judge.
JudgeUrl = Annotated[str, typer.Option(help="OpenAI-compatible endpoint, such as https://api.openai.com/v1.")]
JudgeModel = Annotated[str, typer.Option(help="The judge's model name.")]
JudgeTokens = Annotated[int | None, typer.Option(help="Longest judgment (1024).")]
