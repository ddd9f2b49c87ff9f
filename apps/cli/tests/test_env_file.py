import os


def test_a_variable_of_a_file_named_env_is_read(tunedassist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "x")
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / ".env").write_text("HF_TOKEN=abc\n")
    _, printed, _ = tunedassist("doctor", "--all")
    assert "HF_TOKEN: set" in printed
    assert os.environ.pop("HF_TOKEN") == "abc"


def test_the_environment_wins_over_the_file(tunedassist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "mine")
    (tmp_path / ".env").write_text("HF_TOKEN=of-the-file\n")
    tunedassist("exit-codes")
    assert os.environ["HF_TOKEN"] == "mine"
