"""What `ta-safety scan` does with its options: files to rows, a server to a target, progress to standard
error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ta_safety.detectors.scope import ScopeModel
from ta_safety.guard import Guard
from ta_safety.lines import rows
from ta_safety.policy import Domain, load_domain
from ta_safety.red_team.scan import ScanConfig, scan
from ta_safety.red_team.scenario import read_scenarios
from ta_safety.red_team.styles import STYLES
from ta_safety.red_team.target import Server
from ta_schemas import Artifact
from ta_schemas.errors import InputError


def run_scan(
    folder: Path,
    base_url: str,
    model: str,
    out: Path,
    *,
    scenarios: Path | None,
    harmless: list[Path],
    scope_model: Path | None,
    settings: dict[str, Any],
    attacker_url: str,
    attacker_model: str,
    judge_url: str,
    judge_model: str,
    max_tokens: int,
    concurrency: int,
    timeout_s: float,
    api_key_env: str,
    replace: bool,
) -> Artifact:
    """Read the domain, attack the server, seal the report."""
    for name in settings["styles"]:
        if name not in STYLES:
            raise InputError(f"--style {name!r}: expected one of {', '.join(STYLES)}")
    for who, url, name in (("attacker", attacker_url, attacker_model), ("judge", judge_url, judge_model)):
        if bool(url) != bool(name):
            raise InputError(f"--{who}-url and --{who}-model belong together")
    attacker = Server(attacker_url, attacker_model, timeout_s=timeout_s) if attacker_url else None
    styles = [*settings["styles"], *(["adaptive"] if attacker else [])]
    judge = Server(judge_url, judge_model, max_tokens=16, timeout_s=timeout_s) if judge_url else None
    domain = load_domain(folder)
    listed = scenarios or scenarios_file(folder, domain)
    server = Server(base_url, model, max_tokens=max_tokens, timeout_s=timeout_s, api_key_env=api_key_env)
    guard = Guard(domain, scope_model=ScopeModel.load(scope_model) if scope_model else None)
    columns = (TextColumn("attacks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("attacks")
        return scan(
            ScanConfig(**{**settings, "styles": styles}),
            domain,
            read_scenarios(listed),
            server,
            out,
            target={"base_url": server.base_url.rpartition("@")[2], **server.body},
            guard=guard,
            harmless=harmless_conversations(folder, domain, given=harmless),
            attacker=attacker,
            attacker_name=attacker_model,
            judge=judge,
            judge_name=judge_model,
            concurrency=concurrency,
            replace=replace,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def scenarios_file(folder: Path, domain: Domain) -> Path:
    """The file that `red_team` names, else `red-team.jsonl` beside domain.yaml."""
    file = _beside(folder, domain.red_team or "red-team.jsonl")
    if not file.is_file():
        raise InputError(f"{file}: no such file: write scenarios, or give them with --scenarios")
    return file


def harmless_conversations(
    folder: Path, domain: Domain, *, given: Sequence[Path] = ()
) -> list[list[dict[str, str]]]:
    """What must pass: the files given, else those that `safety: harmless` names, else the benchmark."""
    named = domain.safety.harmless or ([domain.benchmark] if domain.benchmark else [])
    files = given or [_beside(folder, name) for name in named]
    return [conversation for file in files for conversation in conversations(file)]


def conversations(file: Path) -> list[list[dict[str, str]]]:
    """The `messages` of a JSONL file in the shape of ta-schemas' rows; a benchmark's question alone will do."""
    found = []
    for number, row in enumerate(rows(file, fields=("id", "text")), start=1):
        messages = row.get("messages") or [{"role": "user", "content": row.get("text", "")}]
        try:
            found.append([{"role": str(m["role"]), "content": str(m["content"])} for m in messages])
        except (TypeError, KeyError):
            raise InputError(
                f"{file}:{number}: messages: expected a list of objects with role and content"
            ) from None
    return found


def _beside(folder: Path, name: str) -> Path:
    return (folder if folder.is_dir() else folder.parent) / name
