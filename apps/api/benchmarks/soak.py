"""Many requests of every kind; then: has memory grown, was any answer 500 or above, is anything left inside?

    python apps/api/benchmarks/soak.py --model smollm2-135m-instruct
    python apps/api/benchmarks/soak.py      # the server alone, with an engine that costs nothing

At the end twice as many ask at once as find room: how fast is the slowest 429, and over all the slowest 413?
Exits with 6 where memory grew by more than 5 % after the first tenth, any of the answers was wrong, or one of
these refusals took more than a second.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx2

WORDS = Path(__file__).parents[1] / "tests" / "serve_words.py"
CHAT = "/v1/chat/completions"
ROOM = 16 + 32  # the server's --parallel and --max-queue


def main() -> None:
    """Start a server, load it, report as JSON on stdout."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--model", help="what tunedassist-api serves; without it a word engine")
    options.add_argument("--requests", type=int, default=10_000)
    options.add_argument("--clients", type=int, default=16)
    options.add_argument("--max-tokens", type=int, default=8)
    chosen = options.parse_args()
    if chosen.model:
        served = ["-c", "from tunedassist_api.cli import main; main()", "--model", chosen.model, "--port", "0"]
    else:
        served = [str(WORDS)]
    process = subprocess.Popen([sys.executable, *served], stderr=subprocess.PIPE, text=True)
    try:
        report = asyncio.run(soak(process, chosen))
    finally:
        process.terminate()
        code = process.wait()
    report["exit_code"] = code
    print(json.dumps(report))
    wrong = [status for status in report["answers"] if int(status) >= 500 or status == "0"]
    late = max(report["slowest_413_ms"], report["slowest_429_ms"]) > 1000
    if code or wrong or late or report["growth"] > 0.05 or report["left_inside"]:
        sys.exit(6)


async def soak(process: subprocess.Popen[str], chosen: argparse.Namespace) -> dict[str, object]:
    """All requests; memory is looked at after a tenth of them and at the end."""
    url = await asyncio.to_thread(wait_until_ready, process)
    drain = asyncio.create_task(asyncio.to_thread(process.stderr.read))
    answers: Counter[int] = Counter()
    slowest: Counter[int] = Counter()  # milliseconds by status
    numbers = iter(range(chosen.requests))
    before = 0
    started = time.monotonic()

    async def client() -> None:
        nonlocal before
        async with httpx2.AsyncClient(base_url=url, verify=False, timeout=600) as http:
            for number in numbers:
                asked = time.monotonic()
                status = await ask(http, number, chosen.max_tokens)
                answers[status] += 1
                slowest[status] = max(slowest[status], round(1000 * (time.monotonic() - asked)))
                if number == chosen.requests // 10:
                    before = memory(process.pid)
                if number % 500 == 0:
                    left = (time.monotonic() - started) * (chosen.requests / (number + 1) - 1)
                    print(f"{number} requests, {left:.0f} s left", file=sys.stderr)

    await asyncio.gather(*(client() for _ in range(chosen.clients)))
    seconds = time.monotonic() - started
    await asyncio.sleep(1)
    async with httpx2.AsyncClient(base_url=url, verify=False) as http:
        inside = (await http.get("/readyz")).json()["queue"]["inside"]
    after = memory(process.pid)
    refused = await overload(url)
    process.terminate()
    await drain
    return {
        "requests": chosen.requests,
        "clients": chosen.clients,
        "seconds": round(seconds, 1),
        "answers": {str(status): count for status, count in sorted(answers.items())},
        "rss_mib_after_a_tenth": before >> 20,
        "rss_mib_at_the_end": after >> 20,
        "growth": round(after / before - 1, 4),
        "left_inside": inside,
        "slowest_413_ms": slowest[413],
        "refused_with_429": len(refused),
        "slowest_429_ms": max(refused, default=0),
    }


async def overload(url: str) -> list[int]:
    """Twice as many at once as find room; gives the milliseconds of those that are turned away with 429."""
    limits = httpx2.Limits(max_connections=None)
    body = {"messages": [{"role": "user", "content": "How do I list files? " * 8}], "max_tokens": 16}
    async with httpx2.AsyncClient(base_url=url, verify=False, timeout=600, limits=limits) as http:

        async def one() -> tuple[int, int]:
            asked = time.monotonic()
            status = (await http.post(CHAT, json=body)).status_code
            return status, round(1000 * (time.monotonic() - asked))

        found = await asyncio.gather(*(one() for _ in range(2 * ROOM)))
    return [milliseconds for status, milliseconds in found if status == 429]


async def ask(http: httpx2.AsyncClient, number: int, max_tokens: int) -> int:
    """Mostly answers, whole and streamed; one in ten wrong, one in twenty left in the middle."""
    body = {
        "messages": [{"role": "user", "content": f"Question {number}: how do I list files?"}],
        "max_tokens": max_tokens,
        "stream": number % 2 == 0,
    }
    if number % 10 == 3:
        body["temperature"] = 9
    if number % 100 == 7:
        body["messages"] = [{"role": "user", "content": "x" * 1_100_000}]
    try:
        if number % 20 == 0:
            async with http.stream("POST", CHAT, json=body) as answer:
                async for _ in answer.aiter_raw():
                    break
                return answer.status_code
        return (await http.post(CHAT, json=body)).status_code
    except httpx2.HTTPError:
        return 0


def wait_until_ready(process: subprocess.Popen[str]) -> str:
    """The server's URL, once its model is loaded."""
    url = ""
    for line in process.stderr or ():
        told = json.loads(line)
        url = told.get("url", url).removesuffix("/v1")
        if told["event"] == "ready":
            return url
    raise SystemExit("error: the server did not start")


def memory(pid: int) -> int:
    """Resident bytes of the server and its engine's process."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")  # one for each thread that started a process
    children = [child for one in lists for child in one.read_text().split()]
    own = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return own + sum(memory(int(child)) for child in children)


if __name__ == "__main__":
    main()
