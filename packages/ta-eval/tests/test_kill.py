"""A run that is killed, and one that is stopped, as separate processes against a real server."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Write = Callable[..., Path]


def wait_for_lines(file: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while not file.exists() or file.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, "the run wrote nothing"
        time.sleep(0.02)


def run_arguments(benchmark: Path, url: str, out: Path) -> list[object]:
    return ["run", benchmark, "--base-url", url, "--model", "m", "--concurrency", 2, "--out", out]


def test_a_run_killed_with_kill_9_resumes_with_identical_scores(  # type: ignore[no-untyped-def]
    server, write_benchmark: Write, start_cli, cli, tmp_path: Path
) -> None:
    server.answers = {f"question {n}": str(n if n % 3 else "?") for n in range(40)}
    server.delay_s = 0.05
    benchmark, out = write_benchmark(40), tmp_path / "out"
    journal = tmp_path / "out.journal.jsonl"
    process = start_cli(*run_arguments(benchmark, server.url, out))
    wait_for_lines(journal, 10)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = journal.read_bytes().count(b"\n")
    assert not out.exists()
    journal.write_bytes(journal.read_bytes() + b'{"key": "torn')

    before = len(server.requests)
    server.delay_s = 0.0
    resumed = cli(*run_arguments(benchmark, server.url, out))
    assert resumed.returncode == 0, resumed.stderr
    assert f"{kept} answers taken from" in resumed.stderr
    assert len(server.requests) - before == 40 - kept
    assert not journal.exists()

    whole = cli(*run_arguments(benchmark, server.url, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    for name in ("scores.jsonl", "predictions.jsonl", "summary.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_ctrl_c_says_where_the_answers_are_and_exits_130(  # type: ignore[no-untyped-def]
    server, write_benchmark: Write, start_cli: Callable[..., Any], tmp_path: Path
) -> None:
    server.delay_s = 0.05
    process = start_cli(*run_arguments(write_benchmark(200), server.url, tmp_path / "out"))
    journal = tmp_path / "out.journal.jsonl"
    wait_for_lines(journal, 4)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    kept = sum(1 for line in journal.read_text().splitlines() if json.loads(line))
    assert f"stopped: {kept} of 200 answers are kept in" in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()
