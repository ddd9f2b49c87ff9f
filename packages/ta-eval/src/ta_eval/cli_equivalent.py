"""`ta-eval equivalent`: do two shell commands do the same? By running both in a sandbox."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer()


@app.command()
def equivalent(
    pairs: Annotated[
        Path, typer.Argument(help='JSON lines with "reference" and "candidate", perhaps "setup"; - for stdin.')
    ] = Path("-"),
    structure: Annotated[
        bool, typer.Option("--structure", help="Compare the text's structure where running decides nothing.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Pairs run at a time.")] = 2,
    wall_s: Annotated[float, typer.Option(min=0.1, help="Longest time for setup and command, seconds.")] = 10.0,
) -> None:
    """Run both commands of each pair and say, a JSON line a pair, whether they did the same.

    Example: echo '{"reference": "ls -a", "candidate": "ls --all"}' | ta-eval equivalent

    "equivalent" is true, false or null; null is "unscored", and "reason" says why. "setup" is shell text that
    makes the files both start with; without one there is a small sample home directory.
    """
    from ta_eval.sandbox.bwrap import Refused, find_sandbox
    from ta_eval.sandbox.equivalence import Verdict, compare_commands, sample_home
    from ta_eval.scorers.command import same_command

    sandbox = find_sandbox()
    if isinstance(sandbox, Refused):
        typer.echo(sandbox.reason, err=True)

    def judge(pair: dict[str, Any]) -> dict[str, Any]:
        one, other = pair["reference"], pair["candidate"]
        by = "execution"
        if isinstance(sandbox, Refused):
            verdict = Verdict(None, sandbox.reason)
        else:
            setup = pair["setup"] if "setup" in pair else sample_home()
            verdict = compare_commands(sandbox, one, other, setup=setup, wall_s=wall_s)
        if verdict.equivalent is None and structure:
            by, same = "structure", same_command(one, other)
            verdict = Verdict(same, f"{'same' if same else 'another'} structure ({verdict.reason})")
        words = {True: "equivalent", False: "different", None: "unscored"}
        kept = {"id": pair["id"]} if "id" in pair else {}
        told = {"equivalent": verdict.equivalent, "verdict": words[verdict.equivalent], "by": by}
        return {**kept, **told, "reason": verdict.reason}

    with ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(judge, _read(pairs)):
            typer.echo(json.dumps(result, ensure_ascii=False))
            sys.stdout.flush()


def _read(pairs: Path) -> Iterator[dict[str, Any]]:
    """Every line is checked before the first is run."""
    from ta_eval.pipe import read_lines
    from ta_schemas import InputError

    rows = list(read_lines(pairs))
    for where, row in rows:
        for name in ("reference", "candidate", "setup"):
            if not isinstance(row.get(name, "" if name == "setup" else None), str):
                raise InputError(f"{where}: {name}: expected a text")
    return iter([row for _, row in rows])
