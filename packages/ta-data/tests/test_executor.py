"""Many files at once: the same bytes from one process, from two, and from Ray."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ftfy")

Run = Callable[..., Any]


@pytest.fixture
def shards(tmp_path: Path, make: Any) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(4):
        rows = [
            make.chat(f"Question {n} {k}?", f"Mail u{k}@b.example about {n}." if k else "") for k in range(5)
        ]
        make.lines(folder / f"{n}.jsonl", rows)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_two_processes_write_what_one_writes(shards: Path, tmp_path: Path, ta_data: Run) -> None:
    for workers in (1, 2):
        out = tmp_path / str(workers)
        ran = ta_data("shards", shards, "--step", "pii", "--out", out, "--workers", workers)
        assert json.loads(ran.err) == {"shards": 4, "input": 20, "output": 20, "dropped": {}}

    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert b"<EMAIL-4>" in contents(tmp_path / "1")["0.jsonl"]


def test_reasons_are_summed_over_the_shards(shards: Path, tmp_path: Path, ta_data: Run) -> None:
    ran = ta_data("shards", shards, "--step", "filter", "--out", tmp_path / "out")

    assert json.loads(ran.err) == {"shards": 4, "input": 20, "output": 16, "dropped": {"answer too short": 4}}


def test_a_folder_without_shards_is_named(tmp_path: Path, ta_data: Run) -> None:
    assert "no .jsonl file in it" in ta_data("shards", tmp_path, "--out", tmp_path / "o").err


def test_without_ray_the_extra_is_named(
    shards: Path, tmp_path: Path, ta_data: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)

    ran = ta_data("shards", shards, "--out", tmp_path / "o", "--executor", "ray")

    assert (ran.code, ran.err) == (5, "error: ray is not installed: install ta-data[ray]\n")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ta-data[ray]")
def test_ray_writes_what_the_local_processes_write(shards: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    for executor in ("local", "ray"):
        command = [sys.executable, "-m", "ta_data", "shards", shards, "--step", "pii", "--executor", executor]
        subprocess.run([*map(str, command), "--out", str(tmp_path / executor)], check=True, capture_output=True)

    assert contents(tmp_path / "local") == contents(tmp_path / "ray")
    assert len(contents(tmp_path / "ray")) == 4
