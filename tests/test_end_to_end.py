"""One real run of the embedded model, cut short: the same pipeline as `just train`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ta_schemas import Artifact

ROOT = Path(__file__).parent.parent
CUT_SHORT = ["--recipe", "cpu-smollm2", "--max-steps", "6", "--limit", "10"]


def tunedassist(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from tunedassist_cli.main import main; main()", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        check=False,
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "linux-cli"


@pytest.mark.slow
def test_the_pipeline_tunes_measures_and_reports(out: Path) -> None:
    done = tunedassist("run", "linux-cli", "--out", str(out), *CUT_SHORT, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    adapter = Artifact.open(Path(result["adapter"]["path"]), kind="adapter")
    metrics = adapter.manifest.metrics
    assert metrics["steps"] == 6
    assert metrics["validation_loss"] < metrics["validation_loss_before"] - 0.2
    assert [items["name"] for items in result["item_sets"]] == ["benchmark", "general"]
    assert all(items["comparisons"][0]["items"] == 10 for items in result["item_sets"])
    report = Artifact.open(out / "eval-report", kind="eval-report")
    assert report.file("report.html").read_text().count("<svg") >= 2
    assert "<|im_end|>" in done.stderr, "the decoded training sample was not shown"


@pytest.mark.slow
def test_the_same_command_again_skips_every_step(out: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in out.rglob("manifest.json")}
    done = tunedassist("run", "linux-cli", "--out", str(out), *CUT_SHORT, "--json")
    assert done.returncode == 0, done.stderr
    assert {p: p.stat().st_mtime_ns for p in out.rglob("manifest.json")} == before
    assert "tokens/s" not in done.stderr


@pytest.mark.slow
def test_the_same_training_twice_gives_the_same_adapter_digest(out: Path) -> None:
    digests = []
    for name in ("first", "second"):
        command = ["train", "sft", str(out / "dataset"), "--recipe", "cpu-tiny", "--max-steps", "2", "--json"]
        done = tunedassist(*command, "--out", str(out.parent / name))
        assert done.returncode == 0, done.stderr
        digests.append(json.loads(done.stdout)["digest"])
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_the_tuned_adapter_chats(out: Path) -> None:
    done = tunedassist("chat", str(out / "adapter"), "-m", "How do I list files?", "--max-tokens", "24")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "<|im" not in done.stdout


@pytest.mark.slow
def test_a_tampered_dataset_stops_the_pipeline_in_one_line(out: Path) -> None:
    with (out / "dataset" / "train.jsonl").open("a") as file:
        file.write("{}\n")
    done = tunedassist("run", "linux-cli", "--out", str(out), *CUT_SHORT)
    assert done.returncode == 4
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error:") and "train.jsonl" in last
