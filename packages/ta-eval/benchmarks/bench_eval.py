"""200 requests at concurrency 8 against a server that takes 20 ms: ta-eval beside lm-eval and inspect_ai.

    python packages/ta-eval/benchmarks/bench_eval.py [--folder runs/bench-eval] [--repeats 3]

Whole processes are measured, start to sealed result: CPU-seconds (user and system) and wall seconds, the
median of the repeats. The peers are installed once, each in an environment of its own below the folder.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ITEMS = 200
CONCURRENCY = 8
PEERS = {
    "lm-eval": ["lm-eval[api]==0.4.13"],
    "inspect_ai": ["inspect-ai==0.3.285", "openai"],
}
FAULTS = ("0.2", "0.02")
TIME_LIMIT_S = 240


class Measured(NamedTuple):
    """One process."""

    cpu_s: float
    wall_s: float
    scored: int


def measure(argv: list[str], result: Path) -> Measured:
    """Run a process that writes `{"scored": …}` to `result`; 0 scored where it failed."""
    result.unlink(missing_ok=True)
    started = time.monotonic()
    environment = os.environ | {"BENCH_RESULT": str(result), "OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1"}
    with (result.parent / "last.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment, cwd=result.parent)
        while True:
            pid, _, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - started > TIME_LIMIT_S:
                process.kill()
            time.sleep(0.005)
    scored = json.loads(result.read_text())["scored"] if result.exists() else 0
    return Measured(usage.ru_utime + usage.ru_stime, time.monotonic() - started, scored)


@contextmanager
def stub(*faults: str) -> Iterator[str]:
    """The stub server; yields its base URL."""
    server = subprocess.Popen(
        [sys.executable, str(HERE / "stub_server.py"), *faults], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
    finally:
        server.kill()
        server.communicate()


def python_of(peer: str, folder: Path) -> str:
    """The interpreter of a peer's environment, made if it is not there."""
    place = folder / "venvs" / peer
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
        subprocess.run(
            ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *PEERS[peer]],
            check=True,
        )
    return str(python)


def ours(folder: Path, url: str, name: str, cache: str) -> list[str]:
    """`ta-eval run`, then the number of scored items from what it sealed."""
    arguments = ["run", str(folder / "items.jsonl"), "--base-url", url, "--model", "stub", "--name", name]
    arguments += ["--out", str(folder / name), "--concurrency", str(CONCURRENCY), "--force"]
    arguments += ["--cache", str(folder / cache)] if cache else []
    code = (
        "import json, os, pathlib, sys\n"
        f"sys.argv = ['ta-eval', *{arguments!r}]\n"
        "from ta_eval.cli import main\n"
        "try:\n    main()\nexcept SystemExit as left:\n    assert not left.code, left.code\n"
        f"scored = json.loads(pathlib.Path({str(folder / name)!r}, 'summary.json').read_text())['scored']\n"
        "pathlib.Path(os.environ['BENCH_RESULT']).write_text(json.dumps({'scored': scored}))\n"
    )
    return [sys.executable, "-c", code]


def main() -> None:
    """Measure everything and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/bench-eval"), help="environments and results")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "id": f"i{n}",
            "category": "c",
            "messages": [{"role": "user", "content": f"Say the word w{n}"}],
            "scorer": "exact",
            "references": [f"w{n}"],
        }
        for n in range(ITEMS)
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = folder / "result.json"
    table: list[tuple[str, list[Measured]]] = []

    def repeat(label: str, commands: list[list[str]]) -> None:
        table.append((label, [measure(command, result) for command in commands]))
        print_row(*table[-1])

    times = range(options.repeats)
    print(f"{'':<34}{'CPU s':>8}{'wall s':>9}{'scored':>9}")
    with stub() as url:
        repeat("ta-eval", [ours(folder, url, f"fresh-{n}-{os.getpid()}", "") for n in times])
        measure(ours(folder, url, f"fill-{os.getpid()}", "answers.sqlite"), result)
        warm = [ours(folder, url, f"warm-{n}-{os.getpid()}", "answers.sqlite") for n in times]
        repeat("ta-eval, warm cache", warm)
        for peer in PEERS:
            command = [python_of(peer, folder), str(HERE / "peers.py"), peer, str(folder / "items.jsonl"), url]
            repeat(peer, [command] * options.repeats)
    with stub(*FAULTS) as url:
        repeat("ta-eval, 20 % 429, 2 % broken", [ours(folder, url, f"faults-{os.getpid()}", "")])
        for peer in PEERS:
            command = [python_of(peer, folder), str(HERE / "peers.py"), peer, str(folder / "items.jsonl"), url]
            repeat(f"{peer}, 20 % 429, 2 % broken", [command])
    cpu = {label: statistics.median(one.cpu_s for one in runs) for label, runs in table}
    for peer in PEERS:
        print(f"ta-eval takes {cpu['ta-eval'] / cpu[peer]:.2f} of {peer}'s CPU")


def print_row(label: str, runs: list[Measured]) -> None:
    """Medians, and the worst number of scored items."""
    cpu, wall = (
        statistics.median(values) for values in zip(*[(one.cpu_s, one.wall_s) for one in runs], strict=True)
    )
    print(f"{label:<34}{cpu:>8.2f}{wall:>9.2f}{min(one.scored for one in runs):>5}/{ITEMS}", flush=True)


if __name__ == "__main__":
    main()
