import json
import sys
from importlib.util import find_spec

import pytest
from serve_fixtures import ask
from tiny_gguf import make_gguf, make_lora

from ta_schemas import ArtifactError, ArtifactWriter, InputError, SetupError, read_jsonl
from ta_schemas.rows import PredictionRow
from ta_serve import embedded
from ta_serve.cli import main
from ta_serve.engines.llama_cpp.engine import LlamaCppEngine
from ta_serve.engines.transformers import TransformersEngine
from ta_serve.open import find_gguf, open_engine, settings_of

needs_llama = pytest.mark.skipif(not find_spec("llama_cpp"), reason="needs ta-serve[llama-cpp]")


@pytest.fixture
def artifact(tmp_path):
    """A sealed gguf artifact with two quantizations by name, and settings."""
    out = tmp_path / "gguf"
    with ArtifactWriter(out, kind="gguf", producer="test") as writer:
        for kind in ("F16", "Q8_0"):
            make_gguf(writer.path / f"model-{kind}.gguf")
        make_lora(writer.path / "model-lora-F16.gguf", seed=1)
        settings = {"system_prompt": "You list files.", "generation": {"max_tokens": 9}}
        (writer.path / "settings.json").write_text(json.dumps(settings))
        writer.metrics["files"] = {"model-F16.gguf": {"type": "F16"}, "model-Q8_0.gguf": {"type": "Q8_0"}}
    return out


@pytest.fixture
def command(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ta-serve", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    return call


def test_of_an_artifact_q8_0_is_served_with_its_settings(artifact):
    found = find_gguf(artifact)
    assert found.file.name == "model-Q8_0.gguf"
    assert found.settings.system_prompt == settings_of(artifact).system_prompt == "You list files."


def test_a_file_inside_an_artifact_has_its_settings_and_one_outside_has_none(artifact, tmp_path):
    assert find_gguf(artifact / "model-F16.gguf").settings.system_prompt == "You list files."
    assert find_gguf(make_gguf(tmp_path / "alone.gguf")).settings.system_prompt == ""


def test_a_changed_artifact_is_refused(artifact):
    (artifact / "settings.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"settings\.json"):
        open_engine(artifact)


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent: no such file or folder: expected a \.gguf file"):
        open_engine(tmp_path / "absent")
    with pytest.raises(InputError, match="no such file"):
        open_engine(tmp_path / "absent.gguf", engine="llama-cpp")
    with pytest.raises(InputError, match="only with a URL"):
        open_engine(make_gguf(tmp_path / "tiny.gguf"), model="large")
    with pytest.raises(InputError, match=r"name one of its files, such as .*/tiny\.gguf"):
        open_engine(tmp_path)


@needs_llama
def test_each_path_has_its_engine(artifact, base):
    with open_engine(artifact, threads=1) as engine:
        assert isinstance(engine, LlamaCppEngine)
    with open_engine(base.path, device="cpu") as engine:
        assert isinstance(engine, TransformersEngine)


@needs_llama
def test_options_of_llama_cpp_reach_it(artifact, tmp_path):
    lora = make_lora(tmp_path / "a.gguf", seed=1)
    with open_engine(artifact, adapters={"a": lora}, context_tokens=256, parallel=3, threads=1) as engine:
        assert engine.models() == ["base", "base:a"]
        assert engine.stats().context_tokens == 256
        assert (engine._options.parallel, engine._options.threads) == (3, 1)


def test_the_embedded_model_is_quantized_once_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEDASSIST_CACHE", str(tmp_path))
    made = []

    def quantize(source, out, kind):
        made.append((source.name, kind))
        out.write_bytes(b"GGUF")

    monkeypatch.setattr("ta_serve.export.quantize.quantize", quantize)
    first, second = find_gguf(embedded.EMBEDDED).file, find_gguf(embedded.EMBEDDED).file
    assert first == second
    assert first.parent == tmp_path / "gguf"
    assert made == [("SmolLM2-135M-Instruct.Q4_1.gguf", "Q8_0")]


def test_an_embedded_model_that_is_not_installed_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEDASSIST_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "_WHEEL", "no_such_package")
    with pytest.raises(SetupError, match=r"install ta-serve\[base-model\]"):
        open_engine(embedded.EMBEDDED)


@needs_llama
def test_chat_answers_with_a_gguf_artifact_and_its_settings(command, artifact):
    code, out, err = command("chat", artifact, "-m", "Hi", "--json", "--threads", 1)
    assert code == 0, err
    assert json.loads(out)["completion_tokens"] <= 9


@needs_llama
def test_chat_puts_a_lora_over_the_model(command, artifact, tmp_path):
    lora = make_lora(tmp_path / "a.gguf", seed=1)
    code, out, err = command("chat", artifact, "-m", "Hi", "--json", "--lora", lora, "--threads", 1)
    assert code == 0, err
    with open_engine(artifact, threads=1) as engine:
        (plain,) = engine.generate([ask("Hi", system="You list files.")], max_tokens=9)
    assert json.loads(out)["text"] != plain.text


def test_another_engine_than_the_paths_own_can_be_named(command, artifact):
    code, _, err = command("chat", artifact, "-m", "Hi", "--engine", "transformers")
    assert code == 4
    assert "a gguf artifact" in err


@needs_llama
def test_generate_answers_a_file_with_a_gguf_artifact(command, artifact, tmp_path):
    questions, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text("".join(json.dumps({"messages": ask(f"q {n}")}) + "\n" for n in range(40)))
    code, printed, err = command(
        "generate", artifact, "--in", questions, "--out", out, "--json", "--threads", 1
    )
    assert code == 0, err
    rows = list(read_jsonl(out, PredictionRow))
    assert len(rows) == json.loads(printed)["rows"] == 40
    assert max(row.completion_tokens for row in rows) == 9


def test_chat_and_generate_speak_to_a_server(command, tmp_path, monkeypatch):
    from stub_servers import PIECES, stub_server

    questions, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text(json.dumps({"messages": ask("Hi")}) + "\n")
    monkeypatch.setenv("MY_KEY", "right")
    with stub_server() as server:
        url = f"{server.url}/v1"
        code, _, err = command("generate", server.url, "--engine", "ollama", "--in", questions, "--out", out)
        assert code == 0, err
        server.fault = "key"
        code, said, err = command("chat", url, "-m", "Hi", "--model", "large", "--api-key-env", "MY_KEY")
        assert (code, said) == (0, "".join(PIECES) + "\n"), err
        assert server.asked[-1]["model"] == "large"
        code, _, err = command("chat", url, "-m", "Hi", "--api-key-env", "NOT_SET")
        assert code == 3
    assert next(read_jsonl(out, PredictionRow)).output == "".join(PIECES)


@pytest.mark.slow
@needs_llama
def test_the_embedded_model_answers_as_before_when_part_of_the_prompt_is_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEDASSIST_CACHE", str(tmp_path))
    system = (
        "You are a friendly teacher. Answer briefly, in one line, and give nothing but what you are asked for."
    )
    with open_engine(embedded.EMBEDDED) as engine:
        for seed in range(3):
            one = ask("Name three colours.", system=f"{seed} {system} {system}")
            options = {"max_tokens": 48, "temperature": 0.8, "seed": seed}
            first, second = engine.generate([one], **options), engine.generate([one], **options)
            assert first == second
        assert engine.stats().cached_tokens > 60
