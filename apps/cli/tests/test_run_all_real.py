"""The whole way with the embedded model, cut short."""

import json
from pathlib import Path

import pytest

from ta_schemas import Artifact

DOMAIN = Path(__file__).parents[3] / "data" / "linux-cli"

pytest.importorskip("llama_cpp", reason="needs ta-serve[llama-cpp]")


@pytest.mark.slow
def test_the_whole_way_ends_with_a_verdict_and_a_gate_that_asks_for_more(tmp_path, tunedassist):
    out = tmp_path / "run"
    options = ("--all", "--max-steps", 4, "--limit", 6, "--out", out, "--json")
    code, shown, told = tunedassist("run", DOMAIN, *options)
    assert code == 6, told
    found = json.loads(shown)
    assert found["refused"].startswith("not released")
    assert len(found["systems"]) == 7
    assert Artifact.open(out / "all" / "gguf", kind="gguf").manifest.metrics["parity"]["ok"] is True
    assert found["preference_pairs"]["pairs"] >= 3
    again = json.loads(tunedassist("run", DOMAIN, *options)[1])
    assert len(again["skipped"]) == len(again["seconds"]) - 3
