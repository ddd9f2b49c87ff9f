"""The commands of export: what they print, their exit codes, that every option counts."""

import json
import stat
import sys

import pytest
from export_fixtures import make_family
from stub_servers import stub_server

from ta_schemas import Artifact
from ta_serve.cli import main
from ta_serve.export.gguf_header import read_header

pytest.importorskip("llama_cpp", reason="needs ta-serve[llama-cpp]")


@pytest.fixture(autouse=True, scope="module")
def here():
    """llama.cpp in this process: a child imports for seconds. What a child adds is tested in test_parity."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ta_serve.parity.gate.in_child", lambda work, *arguments, where: work(*arguments))
        yield


@pytest.fixture
def run(monkeypatch, capsys):
    """The command line in this process; gives exit code, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ta-serve", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return left.value.code or 0, out, err

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model folder; do not write into it."""
    return make_family("smollm2", tmp_path_factory.mktemp("cli") / "smollm2")


def test_export_writes_what_was_asked_for(run, folder, tmp_path):
    out = tmp_path / "gguf"
    options = ("--type", "Q8_0", "--type", "q4_0", "--name", "tiny", "--license", "mit", "--skip-parity")
    code, printed, err = run("export", folder, "--out", out, *options)
    assert code == 0, err
    assert {file.name for file in out.glob("*.gguf")} == {"tiny-Q8_0.gguf", "tiny-Q4_0.gguf"}
    assert "parity: SKIPPED" in printed
    fields = read_header(out / "tiny-Q8_0.gguf").fields
    assert fields["general.license"] == "mit"
    assert fields["general.name"] == "tiny"
    assert 'LICENSE """mit"""' in (out / "Modelfile").read_text()
    assert "FROM ./tiny-Q8_0.gguf" in (out / "Modelfile").read_text()


def test_export_compares_with_held_out_chats_too(run, folder, tmp_path):
    chats = tmp_path / "chats.jsonl"
    row = {"messages": [{"role": "user", "content": "x"}]}
    chats.write_text("".join(json.dumps(row | {"id": str(n)}) + "\n" for n in range(3)))
    options = ("--type", "F16", "--chats", chats, "--chat-limit", 2, "--json")
    code, printed, err = run("export", folder, "--out", tmp_path / "gguf", *options)
    assert code == 0, err
    assert json.loads(printed)["parity"]["chats"] == 12 + 2


def test_export_replaces_only_when_told(run, folder, tmp_path):
    first = ("export", folder, "--out", tmp_path / "gguf", "--type", "F16", "--skip-parity")
    assert run(*first)[0] == 0
    other = (*first, "--name", "other")
    code, _, err = run(*other)
    assert (code, "pass --force" in err) == (4, True)
    assert run(*other, "--force")[0] == 0
    assert (tmp_path / "gguf" / "other-F16.gguf").exists()


def test_an_unsupported_family_leaves_with_exit_code_3_and_one_line(run, folder, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"architectures": ["MambaForCausalLM"]}')
    code, out, err = run("export", tmp_path / "m", "--out", tmp_path / "gguf")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "MambaForCausalLM" in err and "--llama-cpp DIR" in err
    assert not (tmp_path / "gguf").exists()


CONVERTER = """
import pathlib, shutil, sys
folder, out = pathlib.Path(sys.argv[1]), sys.argv[sys.argv.index("--outfile") + 1]
assert sys.argv[-2:] == ["--outtype", "f16"] and (folder / "model.safetensors").exists()
shutil.copy(pathlib.Path(__file__).parent / "made.gguf", out)
"""


def test_a_checkout_of_llama_cpp_converts_in_our_place(run, folder, tmp_path):
    assert run("export", folder, "--out", tmp_path / "ours", "--type", "F16", "--skip-parity")[0] == 0
    (tmp_path / "llama.cpp").mkdir()
    (tmp_path / "llama.cpp" / "convert_hf_to_gguf.py").write_text(CONVERTER)
    (tmp_path / "ours" / "model-F16.gguf").rename(tmp_path / "llama.cpp" / "made.gguf")
    options = ("--type", "F16", "--llama-cpp", tmp_path / "llama.cpp")
    code, printed, err = run("export", folder, "--out", tmp_path / "theirs", *options)
    assert code == 0, err
    assert "ok   model-F16.gguf" in printed
    assert Artifact.open(tmp_path / "theirs").manifest.config["export"]["llama_cpp"] is True


def test_a_folder_without_the_converter_is_refused(run, folder, tmp_path):
    code, _, err = run("export", folder, "--out", tmp_path / "x", "--llama-cpp", tmp_path)
    assert code == 3
    assert "no convert_hf_to_gguf.py in it" in err


def test_quantize_says_what_the_tensors_became(run, folder, tmp_path):
    run("export", folder, "--out", tmp_path / "gguf", "--type", "F16", "--skip-parity")
    half, out = tmp_path / "gguf" / "model-F16.gguf", tmp_path / "q.gguf"
    code, printed, _ = run("quantize", half, out, "--type", "Q4_K_M")
    assert code == 0
    assert "no multiple of 256" in printed
    assert run("quantize", half, out)[0] == 3
    code, printed, _ = run("quantize", half, out, "--force", "--json")
    assert json.loads(printed)["types"]["Q8_0"] > 0


def test_parity_takes_an_artifact_and_fails_with_exit_code_6(run, folder, tmp_path):
    run("export", folder, "--out", tmp_path / "gguf", "--type", "F16", "--skip-parity")
    code, printed, err = run("parity", folder, tmp_path / "gguf", "--max-tokens", 2)
    assert code == 0, err
    assert "ok   model-F16.gguf: 12 of 12 prompts the same" in printed
    assert "Ollama's template" in printed
    other = tmp_path / "Modelfile"
    other.write_text((tmp_path / "gguf" / "Modelfile").read_text().replace("You are tiny", "You are  tiny"))
    code, printed, err = run("parity", folder, tmp_path / "gguf", "--modelfile", other, "--max-tokens", 2)
    assert code == 6
    assert "FAIL Ollama's template" in printed
    assert err.startswith("error: parity: Ollama's template: ")


def test_parity_asks_a_server_with_its_model_and_key(run, folder, monkeypatch):
    monkeypatch.setenv("STUB_KEY", "right")
    with stub_server() as stub:
        stub.fault = "key"
        asked = ("parity", folder, f"{stub.url}/v1", "--model", "large", "--max-tokens", 2)
        assert "wants an API key" in run(*asked)[2]
        code, _, err = run(*asked, "--api-key-env", "STUB_KEY")
        assert {body["model"] for body in stub.asked} == {"large"}
    assert code == 6
    assert "the server counts 7 prompt tokens" in err


def test_thresholds_of_parity_count(run, folder, tmp_path):
    run("export", folder, "--out", tmp_path / "gguf", "--type", "F16", "--type", "Q2_K", "--skip-parity")
    quantized = tmp_path / "gguf" / "model-Q2_K.gguf"
    assert run("parity", folder, quantized, "--agreement", 1)[0] == 6
    assert run("parity", folder, quantized, "--agreement", 0)[0] == 0


def test_merging_a_model_without_an_adapter_is_refused(run, folder, tmp_path):
    code, _, err = run("merge", folder, "--out", tmp_path / "merged")
    assert code == 3
    assert "there is nothing to merge" in err


def test_merge_names_the_vllm_command(run, adapter, tmp_path):
    code, printed, err = run("merge", adapter.path, "--out", tmp_path / "merged")
    assert code == 0, err
    assert printed.endswith(f"vllm serve {tmp_path / 'merged'} --served-model-name tuned\n")
    assert "vllm" in json.loads(run("merge", adapter.path, "--out", tmp_path / "again", "--json")[1])


def test_search_prints_places(run, tmp_path):
    (tmp_path / "a.md").write_text("# Oak\n\nA tree.\n\n# Pine\n\nAnother tree.\n")
    code, printed, _ = run("search", tmp_path, "pine", "-k", 1)
    assert (code, printed.splitlines()[0].split()[0]) == (0, "a.md:5-7")
    hits = json.loads(run("search", tmp_path, "tree", "--json")[1])
    assert [hit["first_line"] for hit in hits] == [1, 5] or [hit["first_line"] for hit in hits] == [5, 1]


OLLAMA = """#!/bin/sh
case "$1" in
create) grep -q '^FROM ./model-F16.gguf' "$4" ;;
run) echo "asked $2: $3" ;;
esac
"""


@pytest.fixture
def artifact(run, folder, tmp_path):
    run("export", folder, "--out", tmp_path / "gguf", "--type", "F16", "--skip-parity")
    return tmp_path / "gguf"


def test_ollama_creates_the_model_and_asks_it(run, artifact, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "ollama"
    program.parent.mkdir()
    program.write_text(OLLAMA)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    code, printed, err = run("ollama", artifact, "--name", "helper", "--message", "Hi?")
    assert (code, printed) == (0, "asked helper: Hi?\n"), err


def test_without_ollama_the_command_to_run_is_named(run, artifact, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run("ollama", artifact, "--name", "helper")
    assert code == 5
    assert "ollama create helper -f" in err


def test_help_loads_no_model_library():
    import subprocess

    script = (
        "import sys; from ta_serve.cli import app; from typer.testing import CliRunner; "
        "print(CliRunner().invoke(app, ['export', '--help']).exit_code, "
        "[m for m in ('torch', 'transformers', 'gguf', 'llama_cpp', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"
