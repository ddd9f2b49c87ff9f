import os
import sys

import pytest

from tunedassist_gradio_demo.cli import main


def test_a_variable_of_a_file_named_env_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEDASSIST_DEMO_KEY", "x")  # remembered, so that what the file sets is undone
    monkeypatch.delenv("TUNEDASSIST_DEMO_KEY")
    monkeypatch.setattr(sys, "argv", ["tunedassist-demo", "--help"])
    (tmp_path / ".env").write_text("TUNEDASSIST_DEMO_KEY=abc\n")
    with pytest.raises(SystemExit):
        main()
    assert os.environ["TUNEDASSIST_DEMO_KEY"] == "abc"
    assert "Usage" in capsys.readouterr().out
