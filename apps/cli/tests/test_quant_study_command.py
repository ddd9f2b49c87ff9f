import json

import pytest
from full_fixtures import stamps

from ta_schemas import Artifact, read_jsonl
from ta_schemas.rows import PredictionRow

pytest.importorskip("llama_cpp", reason="needs ta-serve[llama-cpp]")

OPTIONS = ("--type", "Q8_0", "--type", "Q4_0", "--limit", 4, "--max-tokens", 5)


@pytest.fixture(scope="module")
def gguf(finished, tmp_path_factory):
    from ta_serve.export.config import ExportConfig
    from ta_serve.export.export import export

    config = ExportConfig(types=["F16"], skip_parity=True)
    return export(config, finished[1] / "adapter", tmp_path_factory.mktemp("gguf") / "gguf").path


def test_each_type_is_measured_once_asked_the_same_items_and_one_is_recommended(
    finished, gguf, tunedassist, tmp_path
):
    domain, run = finished
    out = tmp_path / "study"
    texts = run / "dataset" / "test.jsonl"
    arguments = ("quant-study", domain, "--gguf", gguf, "--texts", texts, "--out", out, *OPTIONS)
    code, shown, told = tunedassist(*arguments, "--json")
    assert code == 0, told
    found = json.loads(shown)
    assert [kind["kind"] for kind in found["kinds"]] == ["F16", "Q8_0", "Q4_0"]
    assert found["items"] == 4
    assert found["recommended"] in {"F16", "Q8_0", "Q4_0"}
    assert found["kinds"][0]["against_reference"] is None
    assert found["kinds"][1]["against_reference"]["items"] == 4
    assert found["kinds"][0]["kl"] == 0
    measured = json.loads((out / "measured" / "quant-study.json").read_text())
    assert measured["rows"][0]["tokens"] < 20, "the answer tokens of the first text"
    assert "| Q4_0 |" in (out / "quant-study.md").read_text()
    assert ">Q4_0</text>" in (out / "quant-study.svg").read_text()
    outputs = [
        [row.output for row in read_jsonl(out / "predictions" / kind / "predictions.jsonl", PredictionRow)]
        for kind in ("F16", "Q4_0")
    ]
    assert outputs[0] != outputs[1]
    assert not list(out.rglob("*.gguf"))

    before = stamps(out)
    at_first = (out / "measured" / "quant-study.json").stat().st_mtime_ns
    code, shown, told = tunedassist(*arguments)
    assert code == 0, told
    assert stamps(out) == before
    assert (out / "measured" / "quant-study.json").stat().st_mtime_ns == at_first
    assert shown.splitlines()[-1] == str(out / "quant-study.md")


def test_an_artifact_without_the_f16_file_is_refused(finished, tunedassist, tmp_path):
    from ta_serve.export.config import ExportConfig
    from ta_serve.export.export import export

    domain, out = finished
    artifact = export(ExportConfig(types=["Q8_0"], skip_parity=True), out / "adapter", tmp_path / "gguf")
    assert Artifact.open(artifact.path).manifest.kind == "gguf"
    code, _, told = tunedassist(
        *("quant-study", domain, "--gguf", artifact.path, "--texts", out / "dataset" / "test.jsonl"),
        *("--out", tmp_path / "study"),
    )
    assert code == 3
    assert "no F16 file" in told
