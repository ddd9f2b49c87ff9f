"""Files that are no model: one line and an exit code, before anything listens."""

import sys
from importlib.util import find_spec

import pytest

from tunedassist_api import logs
from tunedassist_api.cli import main

pytestmark = pytest.mark.skipif(not find_spec("llama_cpp"), reason="needs tunedassist-api[llama-cpp]")


@pytest.fixture
def told(monkeypatch, capfd):
    """Serve it: gives the exit code and what was printed."""
    monkeypatch.setattr(logs, "set_up", lambda: None)  # a handler on this test's stderr would outlive it

    def call(model, *options):
        arguments = ["tunedassist-api", "--model", str(model), "--port", "0", "--guard", "off", *options]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, capfd.readouterr().err

    return call


def make_gguf(file, *, arch):
    """A file with one tensor; no model that could answer."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(file, arch)
    writer.add_tensor("token_embd.weight", np.zeros((64, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_a_truncated_gguf_file_is_one_line(told, tmp_path):
    file = make_gguf(tmp_path / "short.gguf", arch="llama")
    file.write_bytes(file.read_bytes()[:-8000])
    code, printed = told(file)
    assert (code, printed.count("\n")) == (3, 1)
    assert printed.startswith(f"error: {file}: ")
    assert "corrupted or incomplete" in printed


def test_an_unknown_architecture_is_named_in_one_line(told, tmp_path):
    file = make_gguf(tmp_path / "new.gguf", arch="nonesuch")
    code, printed = told(file)
    assert (code, printed.count("\n")) == (3, 1)
    assert printed.startswith(f"error: {file}: ")
    assert "unknown model architecture: 'nonesuch'" in printed


def test_what_is_no_gguf_file_is_one_line(told, tmp_path):
    file = tmp_path / "notes.gguf"
    file.write_text("not a model")
    assert told(file) == (3, f"error: {file}: not a GGUF file\n")
