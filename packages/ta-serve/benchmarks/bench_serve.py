"""Tokens/s, time to first token and memory of our API beside llama_cpp.server and llama-server, in one run.

    python packages/ta-serve/benchmarks/bench_serve.py --questions data/linux-cli/benchmark.jsonl

All servers run at the same time, but only one is asked, in turns, so that a busy machine is busy for each.
Peers that are not installed are left out and named. Needs httpx and psutil; llama_cpp.server needs
sse-starlette, starlette-context and pydantic-settings, llama-server the wheel xllamacpp.
"""

import argparse
import asyncio
import itertools
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psutil

from ta_serve.embedded import EMBEDDED
from ta_serve.engines.llama_cpp.threads import usable_cores
from ta_serve.open import find_gguf

SYSTEM = (
    "You are the support assistant of our company. Answer in short sentences and show the command first. Say "
    "what each option does. Warn before anything is deleted, overwritten or shared, and offer a way to look "
    "first. When a question is about something else, say politely that you cannot help with it and name who "
    "can. Never invent an option: when you are not sure, say how to look it up in the manual on the machine."
)


@dataclass
class Server:
    """A running server."""

    name: str
    url: str
    process: psutil.Process
    key: str = "none"

    def processes(self) -> list[psutil.Process]:
        """It and its children."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU seconds since it was started."""
        times = [process.cpu_times() for process in self.processes()]
        return sum(t.user + t.system for t in times)

    def memory_mb(self) -> float:
        """Resident memory."""
        return sum(process.memory_info().rss for process in self.processes()) / 2**20


@dataclass
class Round:
    """What one load on one server gave."""

    tokens: int = 0
    first_s: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_mb: float = 0.0


def start_servers(gguf: Path, threads: int, parallel: int, wanted: list[str]) -> Iterator[Server]:
    """Start those that are wanted and installed."""
    plain = {
        key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    }
    # For the peers: with their own defaults two busy cores would give a tenth. Ours has what it sets itself.
    tuned = plain | {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "4000", "GGML_NO_BACKTRACE": "1"}
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the servers
    port = itertools.count(18_200 + os.getpid() % 1000)
    for name, module in (
        ("tunedassist-api", "tunedassist_api"),
        ("llama_cpp.server", "starlette_context"),
        ("llama-server", "xllamacpp"),
    ):
        if name not in wanted:
            continue
        if find_spec(module) is None:
            print(f"{name}: left out, {module} is not installed", file=sys.stderr)
            continue
        here = next(port)
        address, key, told = f"http://127.0.0.1:{here}/v1", "none", None
        if name == "tunedassist-api":
            command = ["-c", "from tunedassist_api.cli import main; main()", "--model", str(gguf)]
            command += ["--port", str(here), "--threads", str(threads), "--parallel", str(parallel)]
            command += ["--guard", "off"]  # the peers have none; what it costs: just bench-safety
        elif name == "llama_cpp.server":
            command = ["-m", "llama_cpp.server", "--model", str(gguf), "--n_ctx", "8192", "--port", str(here)]
            command += ["--n_threads", str(threads), "--n_threads_batch", str(threads), "--verbose", "False"]
            command += ["--interrupt_requests", "False"]  # else a new request ends the one that is answered
        else:
            key = secrets.token_urlsafe()
            command = ["-m", "ta_serve.engines.xllamacpp"]
            told = {
                "model": str(gguf),
                "key": key,
                "context_tokens": 8192,
                "parallel": parallel,
                "threads": threads,
            }
        process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if told else log,
            stderr=log,
            env=plain if name == "tunedassist-api" else tuned,
            text=True,
        )
        if told:
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
            address = process.stdout.readline().strip() + "/v1"
        yield Server(name, address, psutil.Process(process.pid), key)


def wait_until_ready(server: Server) -> None:
    """Until it has answered once."""
    for _ in range(600):
        try:
            headers = {"authorization": f"Bearer {server.key}"}
            body = {"model": "x", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
            models = httpx.get(f"{server.url}/models", headers=headers, timeout=60).json()["data"]
            body["model"] = models[0]["id"]
            if httpx.post(f"{server.url}/chat/completions", json=body, headers=headers, timeout=60).is_success:
                return
        except (httpx.HTTPError, LookupError, ValueError):
            pass
        time.sleep(0.2)
    raise SystemExit(f"{server.name} does not get ready")


async def load(server: Server, questions: list[str], clients: int, tokens: int) -> Round:
    """Ask all questions, `clients` at a time, as streams of `tokens` tokens."""
    found = Round()
    waiting = iter(questions)
    cpu, started = server.cpu_s(), time.perf_counter()
    headers = {"authorization": f"Bearer {server.key}"}
    fresh = httpx.Limits(max_keepalive_connections=0)  # llama-server hangs up after a stream without saying so
    async with httpx.AsyncClient(timeout=None, headers=headers, limits=fresh) as http:
        models = (await http.get(f"{server.url}/models")).json()["data"]

        async def client() -> None:
            for question in waiting:
                await _ask(http, server.url, models[0]["id"], question, tokens, found)

        async def watch() -> None:
            while True:
                found.memory_mb = max(found.memory_mb, server.memory_mb())
                await asyncio.sleep(0.25)

        watching = asyncio.create_task(watch())
        await asyncio.gather(*(client() for _ in range(clients)))
        watching.cancel()
    found.wall_s = time.perf_counter() - started
    found.cpu_s = server.cpu_s() - cpu
    return found


async def _ask(http: httpx.AsyncClient, url: str, model: str, question: str, tokens: int, found: Round) -> None:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
    }
    started = time.perf_counter()
    first = 0.0
    async with http.stream("POST", f"{url}/chat/completions", json=body) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if not line.startswith("data:") or line.endswith("[DONE]"):
                continue
            chunk = json.loads(line[5:])
            if any((choice.get("delta") or {}).get("content") for choice in chunk.get("choices") or []):
                first = first or time.perf_counter() - started
                found.tokens += 1  # every one of these servers sends a chunk a token
    found.first_s.append(first or time.perf_counter() - started)


def report(rounds: dict[tuple[str, int], list[Round]], heading: str) -> str:
    """A Markdown table."""
    lines = [
        heading,
        "",
        "| clients | server | tokens/s | tokens per CPU s | first token p50 | p95 | memory |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (name, clients), found in sorted(rounds.items(), key=lambda item: item[0][1]):
        tokens = sum(one.tokens for one in found)
        first = sorted(1000 * s for one in found for s in one.first_s)
        late = first[min(len(first) - 1, int(0.95 * len(first)))]
        lines.append(
            f"| {clients} | {name} | {tokens / sum(one.wall_s for one in found):.0f} "
            f"| {tokens / sum(one.cpu_s for one in found):.0f} | {statistics.median(first):.0f} ms "
            f"| {late:.0f} ms | {max(one.memory_mb for one in found):.0f} MB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--questions", type=Path, required=True, help="JSONL with messages; the last one is asked"
    )
    parser.add_argument("--model", default=EMBEDDED, help="a GGUF file, a gguf artifact, or the embedded model")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--requests", type=int, default=16, help="in each round, of which there are --rounds")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=32, help="of each answer")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--servers", nargs="+", default=["tunedassist-api", "llama_cpp.server", "llama-server"])
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows = [json.loads(line) for line in options.questions.read_text(encoding="utf-8").splitlines()]
    questions = itertools.cycle([row["messages"][-1]["content"] for row in rows])
    gguf = find_gguf(options.model).file
    servers: list[Server] = []
    rounds: dict[tuple[str, int], list[Round]] = {}
    try:
        for server in start_servers(gguf, options.threads, max(options.clients), options.servers):
            servers.append(server)
            wait_until_ready(server)
        for clients, _ in itertools.product(options.clients, range(options.rounds)):
            asked = list(itertools.islice(questions, max(options.requests, clients)))
            for server in servers:
                found = asyncio.run(load(server, asked, clients, options.tokens))
                rounds.setdefault((server.name, clients), []).append(found)
                print(f"{server.name}, {clients} clients: {found.wall_s:.1f} s", file=sys.stderr)
    finally:  # what was measured is told, also when it was stopped
        for server in servers:
            for process in server.processes():
                process.kill()
        heading = (
            f"{gguf.name}, {options.threads} threads, answers of {options.tokens} tokens, {date.today()}, "
            f"load average {os.getloadavg()[1]:.1f}"
        )
        print(report(rounds, heading))


if __name__ == "__main__":
    main()
