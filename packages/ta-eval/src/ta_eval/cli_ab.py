"""`ta-eval ab`: which of two systems do people prefer, not knowing which is which?"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ta_eval.options import Base, Candidate, Json

if TYPE_CHECKING:
    from ta_eval.ab.bundle import Bundle

app = typer.Typer(no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="The folder that ab create made.")]
KeyFile = Annotated[Path | None, typer.Option(help="Key file (<folder>.key.json unless given).")]


@app.callback()
def about() -> None:
    """Blind A/B with people: create, vote or serve, status, analyze.

    ta-eval ab create runs/base runs/tuned --out runs/ab     sides dealt at random, key sealed apart
    ta-eval ab serve runs/ab                                 people vote in a browser on this machine
    ta-eval ab status runs/ab                                enough votes? tells nothing of who leads
    ta-eval ab analyze runs/ab                               opens the key: who is preferred, how sure
    """


@app.command()
def create(
    base: Base,
    candidate: Candidate,
    out: Annotated[Path, typer.Option(help="Folder to make for the raters, such as runs/ab.")],
    key: KeyFile = None,
    items: Annotated[int, typer.Option(min=1, help="Pairs to vote on, a random part of all.")] = 100,
    votes_per_item: Annotated[int, typer.Option(min=1, help="Raters that should see each pair.")] = 1,
    title: Annotated[
        str, typer.Option(help="Heading that raters see; name no system in it.")
    ] = "Which is better?",
) -> None:
    """Make the raters' folder and, beside it, the sealed key. One pair in ten is shown twice.

    Example: ta-eval ab create runs/base runs/tuned --out runs/ab --items 60
    """
    from ta_eval.ab.bundle import create_bundle, key_path
    from ta_eval.answers import read_answered_pair

    key_file = key or key_path(out)
    bundle = create_bundle(
        read_answered_pair(base, candidate),
        out,
        key_file,
        items=items,
        votes_per_item=votes_per_item,
        title=title,
    )
    asked = len(bundle.originals)
    typer.echo(f"{out}: {asked} pairs, {len(bundle.pairs) - asked} of them shown twice")
    typer.echo(f"{key_file}: the key; keep it from the raters until ta-eval ab analyze")


@app.command()
def vote(
    folder: Folder, rater: Annotated[str, typer.Option(help="Your name; everybody has his own order.")]
) -> None:
    """Vote in the terminal; q stops, the same command goes on.

    Example: ta-eval ab vote runs/ab --rater ann
    """
    from ta_eval.ab.bundle import open_bundle
    from ta_eval.ab.terminal import vote_in_terminal
    from ta_eval.ab.votes import check_rater

    check_rater(rater)
    given = vote_in_terminal(open_bundle(folder), rater)
    typer.echo(f"{given} votes given")


@app.command()
def serve(
    folder: Folder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
) -> None:
    """Vote in a browser on this machine; Ctrl-C stops, every vote is kept.

    Example: ta-eval ab serve runs/ab
    """
    from ta_eval.ab.bundle import open_bundle
    from ta_eval.ab.page import vote_server
    from ta_eval.progress import say

    with vote_server(open_bundle(folder), port) as server:
        say(f"http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C stops)")
        server.serve_forever(poll_interval=0.1)


@app.command()
def status(folder: Folder, key: KeyFile = None, as_json: Json = False) -> None:
    """How many votes, and whether they are enough: without a word about which system leads.

    Looking as often as one likes is allowed: the evidence is always valid.
    """
    from ta_eval.ab.analysis import analyze as analyze_votes
    from ta_eval.ab.bundle import key_path, open_bundle, open_key
    from ta_eval.ab.votes import read_votes

    bundle, key_file = open_bundle(folder), key or key_path(folder)
    votes = read_votes(folder)
    found: dict[str, Any] = {"pairs": len(bundle.originals), "votes": len(votes), "raters": _by_rater(bundle)}
    if key_file.exists():
        full = analyze_votes(bundle, open_key(bundle, key_file), votes)
        found |= {"items": full["items"], "enough": full["verdict"] != "not enough"}
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{found['votes']} votes on {found['pairs']} pairs")
    for name, counts in found["raters"].items():
        typer.echo(f"  {name:<24}{counts['votes']:>5}{'   done' if counts['done'] else ''}")
    if "enough" in found:
        told = "enough for a verdict: ta-eval ab analyze" if found["enough"] else "not enough for a verdict yet"
        typer.echo(f"{found['items']} items count; {told}")


@app.command()
def analyze(folder: Folder, key: KeyFile = None, as_json: Json = False) -> None:
    """Open the key: who is preferred, how sure, and how far the raters agree.

    Writes analysis.json and labels.jsonl (item, rater, label) into the folder; the labels calibrate a judge:
    ta-eval judge pairs ... --labels runs/ab/labels.jsonl
    """
    from ta_eval.ab.analysis import analyze as analyze_votes
    from ta_eval.ab.analysis import sentence, uncovered
    from ta_eval.ab.bundle import key_path, open_bundle, open_key
    from ta_eval.ab.votes import read_votes
    from ta_eval.files import write_json, write_lines

    bundle = open_bundle(folder)
    opened, votes = open_key(bundle, key or key_path(folder)), read_votes(folder)
    found = analyze_votes(bundle, opened, votes)
    labels = [label._asdict() for label in uncovered(bundle, opened, votes)]
    write_lines(folder / "labels.jsonl", labels)
    write_json(folder / "analysis.json", found)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    typer.echo(sentence(found))
    counts = ", ".join(f"{label}: {count}" for label, count in sorted(found["counts"].items()))
    typer.echo(f"votes            {found['votes']} ({counts})")
    typer.echo(f"evidence         {found['capital']:.3g} of {found['enough']:.0f} needed")
    typer.echo(_line("left side chosen", found["left_share"]))
    typer.echo(_line("longer wins", found["longer_wins"]))
    again = found["self_consistency"]
    typer.echo(_line("same when asked again", again) + f", n = {again['repeated']}")
    if found["agreement"]:
        typer.echo(_line("Krippendorff's alpha", found["agreement"]["krippendorff"], scale=1))
    if found["unfinished"]:
        typer.echo(
            f"{found['unfinished']} items lack votes ({found['votes_per_item']} each) and do not count yet"
        )
    typer.echo(str(folder / "analysis.json"))


def _by_rater(bundle: "Bundle") -> dict[str, dict[str, Any]]:
    from ta_eval.ab.votes import next_pair, read_votes

    votes = read_votes(bundle.path)
    return {
        rater: {
            "votes": sum(vote.rater == rater for vote in votes),
            "done": next_pair(bundle, votes, rater) is None,
        }
        for rater in sorted({vote.rater for vote in votes})
    }


def _line(name: str, interval: dict[str, Any], scale: int = 100) -> str:
    values = [f"{scale * interval[end]:.{0 if scale == 100 else 2}f}" for end in ("estimate", "low", "high")]
    unit = " %" if scale == 100 else ""
    return f"{name:<24}{values[0]}{unit} (95 % interval {values[1]} to {values[2]})"
