"""Every option of `ta-safety scan`, `garak`, `compare` and `feedback` reaches what it is for."""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safety_fixtures as fixtures
from typer.testing import CliRunner

from ta_safety.cli import app
from ta_safety.detectors.injection.features import SIZE
from ta_safety.detectors.scope import ScopeModel
from ta_schemas import Artifact, ArtifactError, SetupError
from ta_schemas.errors import GateError

RUN = CliRunner()


def scan(tmp_path: Path, *options: str, answer: Any = fixtures.obedient, seen: Any = None) -> Any:
    """The result of a scan by command in style direct; the report lies in tmp_path/out."""
    folder = fixtures.make_domain(tmp_path / "toy")
    with fixtures.chat_server(answer, seen=seen) as url:
        command = ["scan", str(folder), "--base-url", url, "--model", "m", "--out", str(tmp_path / "out")]
        return RUN.invoke(app, [*command, "--style", "direct", *options])


def attempts(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "out" / "attempts.jsonl").read_text().splitlines()]


def test_max_tokens_and_the_key_reach_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "k-2")
    seen: list[tuple[dict[str, Any], str]] = []
    assert scan(tmp_path, "--max-tokens", "7", "--api-key-env", "MY_KEY", seen=seen).exit_code == 0
    assert {(body["max_tokens"], key) for body, key in seen} == {(7, "Bearer k-2")}


def test_canary_plants_a_word_in_the_system_prompt(tmp_path: Path) -> None:
    seen: list[tuple[dict[str, Any], str]] = []
    scan(tmp_path, "--canary", seen=seen)
    assert all("[ref-" in body["messages"][0]["content"] for body, _ in seen)


def test_seed_and_variants_say_what_is_asked(tmp_path: Path) -> None:
    scan(tmp_path, "--variants", "2", "--seed", "5")
    assert len(attempts(tmp_path)) == 8
    first = [a["messages"] for a in attempts(tmp_path)]
    scan(tmp_path, "--variants", "2", "--seed", "9", "--force")
    assert [a["messages"] for a in attempts(tmp_path)] != first


def test_another_scans_report_is_replaced_only_by_force(tmp_path: Path) -> None:
    scan(tmp_path)
    assert isinstance(scan(tmp_path, "--seed", "1").exception, ArtifactError)
    assert scan(tmp_path, "--seed", "1", "--force").exit_code == 0


def test_a_server_slower_than_the_timeout_is_given_up(tmp_path: Path) -> None:
    def slow(messages: list[dict[str, str]]) -> str:
        time.sleep(0.5)
        return "late"

    done = scan(tmp_path, "--timeout-s", "0.1", "--concurrency", "1", answer=slow)
    assert isinstance(done.exception, SetupError)


@pytest.mark.parametrize(("concurrency", "most"), [("1", 1), ("2", 2)])
def test_so_many_attacks_are_under_way_at_once(tmp_path: Path, concurrency: str, most: int) -> None:
    running, peak, lock = [0], [0], threading.Lock()

    def watched(messages: list[dict[str, str]]) -> str:
        with lock:
            running[0] += 1
            peak[0] = max(peak[0], running[0])
        time.sleep(0.1)
        with lock:
            running[0] -= 1
        return "no"

    scan(tmp_path, "--concurrency", concurrency, answer=watched)
    assert peak[0] == most


def test_a_scope_model_adds_its_rail(tmp_path: Path) -> None:
    ScopeModel(np.zeros(SIZE, dtype=np.float32), 5.0, 0.5).save(tmp_path / "scope.npz")
    scan(tmp_path, "--scope-model", str(tmp_path / "scope.npz"))
    assert all("scope warn" in a["rails"] for a in attempts(tmp_path) if a["guarded"])


def test_the_time_of_the_rails_is_in_the_manifest_and_in_a_picture(tmp_path: Path) -> None:
    done = scan(tmp_path, "--json")
    told = json.loads(done.stdout)
    metrics = Artifact.open(tmp_path / "out").manifest.metrics
    assert 0 < metrics["rail_ms_p50"] <= metrics["rail_ms_p95"]
    assert told["rail_ms_p95"] == metrics["rail_ms_p95"]
    assert f"p95 {metrics['rail_ms_p95']:.1f} ms" in (tmp_path / "out" / "logs" / "latency.svg").read_text()


def test_a_new_success_leaves_with_the_gates_code(tmp_path: Path) -> None:
    scan(tmp_path / "good", answer=lambda messages: "no")
    scan(tmp_path / "bad")
    worse = tmp_path / "bad" / "out"
    rows = [json.loads(line) for line in (worse / "attempts.jsonl").read_text().splitlines()]
    assert [row["score"] for row in rows if row["guarded"]] == [0.0, 0.0], "the guard stops both"
    folder = tmp_path / "bad" / "toy"
    with (folder / "domain.yaml").open("a") as file:
        file.write('safety: {rails: {injection: {action: "off"}, shell: {action: "off"}}}\n')
    with fixtures.chat_server(fixtures.obedient) as url:
        command = [
            "scan",
            str(folder),
            "--base-url",
            url,
            "--model",
            "m",
            "--out",
            str(worse),
            "--style",
            "direct",
        ]
        RUN.invoke(app, [*command, "--force"])
    done = RUN.invoke(app, ["compare", str(tmp_path / "good" / "out"), str(worse)])
    assert isinstance(done.exception, GateError)
    assert "newly succeeding: 2" in done.stdout


def test_feedback_is_replaced_only_by_force(tmp_path: Path) -> None:
    scan(tmp_path)
    command = [
        "feedback",
        str(tmp_path / "out"),
        "--domain",
        str(tmp_path / "toy"),
        "--out",
        str(tmp_path / "fb"),
    ]
    assert RUN.invoke(app, command).exit_code == 0
    assert isinstance(RUN.invoke(app, command).exception, ArtifactError)
    assert RUN.invoke(app, [*command, "--force"]).exit_code == 0


# ── garak: a small program in its place, which writes the report garak would ──

STAND_IN = """#!{python}
import json, sys
arguments = dict(zip(sys.argv[3::2], sys.argv[4::2]))
probes = [p.removeprefix("probes.") for p in arguments["--spec"].split(",")]
with open(arguments["--report_prefix"] + ".report.jsonl", "w") as out:
    for probe in probes:
        entry = {{"entry_type": "eval", "probe": probe, "fails": 1, "total_evaluated": 2}}
        out.write(json.dumps(entry) + "\\n")
    out.write(json.dumps({{"entry_type": "completion"}}) + "\\n")
"""


def garak(tmp_path: Path, *options: str) -> Any:
    folder = fixtures.make_domain(tmp_path / "toy")
    python = tmp_path / "python"
    python.write_text(STAND_IN.format(python=sys.executable))
    python.chmod(0o755)
    command = [
        "garak",
        str(folder),
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--model",
        "m-3",
        "--out",
        str(tmp_path / "out"),
    ]
    return RUN.invoke(app, [*command, "--python", str(python), *options])


def test_garak_reports_the_probes_it_was_given_raw_and_guarded(tmp_path: Path) -> None:
    done = garak(tmp_path, "--probe", "dan.X", "--probe", "grandma.Y")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["probe"] for row in found["raw"]] == ["dan.X", "grandma.Y"]
    assert found["guarded"][0] == {"probe": "dan.X", "evaluated": 2, "hits": 1, "refused": 0}


def test_garaks_prompts_tokens_and_seed_reach_its_configuration(tmp_path: Path) -> None:
    import yaml

    garak(tmp_path, "--probe", "dan.X", "--prompts", "3", "--max-tokens", "9", "--seed", "4")
    asked = yaml.safe_load((tmp_path / "out.garak" / "raw" / "garak.yaml").read_text())
    server = asked["plugins"]["generators"]["openai"]["OpenAICompatible"]
    assert (asked["run"]["soft_probe_prompt_cap"], server["max_tokens"], asked["run"]["seed"]) == (3, 9, 4)


def test_another_garak_report_is_replaced_only_by_force(tmp_path: Path) -> None:
    garak(tmp_path, "--probe", "dan.X")
    assert isinstance(garak(tmp_path, "--probe", "dan.X").exception, ArtifactError)
    assert garak(tmp_path, "--probe", "dan.X", "--force").exit_code == 0
