"""Each command alone in a pipe: rows of any origin, hostile lines, Ctrl-C at any point."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rensa")

Run = Callable[..., Any]
GOOD = [
    {
        "messages": [
            {"role": "user", "content": "What is a lid?"},
            {"role": "assistant", "content": "A cover, so."},
        ]
    },
    {
        "conversations": [
            {"from": "human", "value": "What is a pot?"},
            {"from": "gpt", "value": "A vessel for it."},
        ]
    },
    {"instruction": "Say hello", "input": "to Ann", "output": "Hello there, Ann."},
    {"prompt": "Why?", "completion": "Because of that."},
    {"question": "Where is it?", "answer": "Over there, I think."},
    {"text": "A whole document about nothing at all."},
]
BAD = {
    b"{broken": "not valid JSON",
    b"[1, 2]": "not an object",
    b'{"text": "caf\xe9"}': "not valid JSON",
    b'{"text": "\\ud800 alone"}': "not valid JSON",
    b'{"text": 1e999}': "not valid JSON",
    b'{"text": ' + b"[" * 100_000: "not valid JSON",
    b'{"text": "' + b"x" * (16 * 2**20) + b'"}': "line too long",
}
COMMANDS: dict[str, list[str]] = {
    "filter": [],
    "pii": [],
    "dedup": [],
    "decontaminate": ["--against", "bench.jsonl"],
}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Good rows of every origin with hostile lines between them."""
    (tmp_path / "bench.jsonl").write_text('{"question": "something else entirely"}\n')
    lines = [json.dumps(row).encode() for row in GOOD]
    file = tmp_path / "in" / "rows.jsonl"
    file.parent.mkdir()
    file.write_bytes(b"\n".join([*lines, b"", *BAD]) + b"\n")
    return file


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("origin", ["stdin", "file", "folder"])
def test_good_rows_of_any_origin_come_through_and_hostile_lines_are_counted(
    foreign: Path, tmp_path: Path, ta_data: Run, monkeypatch: pytest.MonkeyPatch, command: str, origin: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = {"stdin": "-", "file": foreign, "folder": foreign.parent}[origin]
    with foreign.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        ran = ta_data(command, source, *COMMANDS[command], "--out", "out.jsonl", "--dropped", "gone.jsonl")

    summary = json.loads(ran.err)
    assert ran.code == 0
    assert (summary["input"], summary["output"]) == (len(GOOD) + len(BAD), len(GOOD))
    assert summary["dropped"] == {"line too long": 1, "not an object": 1, "not valid JSON": 5}
    gone = [json.loads(line) for line in Path("gone.jsonl").read_text().splitlines()]
    name = "-" if origin == "stdin" else "rows.jsonl"
    assert [line["source"] for line in gone] == [f"{name}:{len(GOOD) + 2 + n}" for n in range(len(BAD))]


def test_the_doctor_names_hostile_lines_of_a_pipe(
    foreign: Path, tmp_path: Path, ta_data: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with foreign.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        ran = ta_data("doctor", "-", "--summary", tmp_path / "d.json")

    found = {f["check"]: f["count"] for f in json.loads((tmp_path / "d.json").read_text())["findings"]}
    assert (ran.code, found["unreadable"]) == (6, len(BAD))


def test_collect_counts_the_lines_of_a_folder(foreign: Path, tmp_path: Path, ta_data: Run) -> None:
    ran = ta_data("collect", foreign.parent, "--out", tmp_path / "out")

    summary = json.loads(ran.err)
    assert summary["rows"] == {"conversations": 5, "documents": 1}
    assert summary["rows_left_out"] == {"line too long": 1, "not an object": 1, "not valid JSON": 5}


STOPPED: dict[str, list[str]] = {
    "dedup": ["dedup", "-", "--out", "out.jsonl", "--dropped", "gone.jsonl"],
    "pii": ["pii", "-", "--out", "out.jsonl", "--spans", "spans.jsonl"],
    "doctor": ["doctor", "-", "--html", "page.html"],
    "build": ["build", "in", "--out", "out"],
}


@pytest.mark.parametrize("command", STOPPED)
def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path, command: str) -> None:
    if command == "build" and not Path("/proc/self/task").exists():
        pytest.skip("needs /proc with the children of a process (Linux)")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "slow.md").write_text("<a>" * 400_000)  # see test_collect.py
    work = tmp_path / "work"
    work.mkdir()
    before = sorted(tmp_path.rglob("*"))
    # A shell's background jobs ignore Ctrl-C and hand that on; a person's command does not.
    run = subprocess.Popen(
        [sys.executable, "-m", "ta_data", *STOPPED[command]],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(work)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stdin is not None and run.stderr is not None
    if command == "build":
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
        deadline = time.monotonic() + 60
        while children.exists() and not children.read_text().strip() and time.monotonic() < deadline:
            time.sleep(0.05)
    else:
        run.stdin.write(b'{"prompt": "a", "completion": "b"}\n' * 50_000)  # more than a pipe holds: it reads
        run.stdin.flush()

    run.send_signal(signal.SIGINT)
    said = run.stderr.read()

    assert (run.wait(timeout=30), said.count(b"\n")) == (130, 1)
    run.stdin.close()
    run.stderr.close()
    assert sorted(tmp_path.rglob("*")) == before
