"""`tunedassist-api`: what the command line hands on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tunedassist_api import logs, model, server
from tunedassist_api.cli import app, main


@pytest.fixture
def tunedassist_api(monkeypatch, capfd):
    """The command line in this process: gives exit code, stdout, stderr."""

    # A handler on this test's stderr would outlive it: servers of other tests are still stopping.
    monkeypatch.setattr(logs, "set_up", lambda: None)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tunedassist-api", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capfd.readouterr()
        return left.value.code or 0, out, err

    return call


@pytest.fixture
def served(tunedassist_api, monkeypatch):
    """What the options become: (Config, what the engine is opened with, the guard, the index)."""

    def call(*arguments):
        seen = {}
        monkeypatch.setattr(
            server, "serve", lambda load, config, **more: seen.update(load=load, config=config, **more)
        )
        monkeypatch.setattr(model, "open_engine", lambda *a, **k: seen.update(opened=(a, k)) or Opened())
        code, _, told = tunedassist_api(*arguments)
        assert code == 0, told
        seen["load"]()
        return seen["config"], seen["opened"], seen["guard"], seen["retrieval"]

    return call


class Opened:
    settings = None


CONFIG = {
    "--host": ("0.0.0.0", "host", "0.0.0.0"),
    "--port": (9, "port", 9),
    "--name": ("my-model", "name", "my-model"),
    "--parallel": (3, "parallel", 3),
    "--max-queue": (5, "max_queue", 5),
    "--deadline": (7, "deadline_s", 7.0),
    "--drain": (8, "drain_s", 8.0),
    "--max-body-bytes": (99, "max_body_bytes", 99),
    "--requests-per-minute": (60, "requests_per_minute", 60),
    "--cors-origin": ("https://a.example", "cors_origins", ("https://a.example",)),
}


@pytest.mark.parametrize("option", CONFIG)
def test_an_option_changes_the_configuration(served, option):
    value, field, wanted = CONFIG[option]
    assert getattr(served("--model", "x.gguf")[0], field) != wanted
    assert getattr(served("--model", "x.gguf", option, value)[0], field) == wanted


def test_paths_and_flags_change_the_configuration(served, tmp_path):
    files = ("--keys-file", tmp_path / "k", "--feedback", tmp_path / "f")
    config = served("--model", "x.gguf", *files, "--log-prompts")[0]
    assert (config.keys_file, config.feedback, config.log_prompts) == (tmp_path / "k", tmp_path / "f", True)


def test_options_reach_the_engine(served, monkeypatch, tmp_path):
    monkeypatch.setenv("TUNEDASSIST_API_UPSTREAM_KEY", "upstream")
    opened = served(
        *("--model", "http://a.example/v1", "--engine", "openai-http", "--upstream-model", "big"),
        *("--adapter", "a=a.gguf", "--adapter", "b=b.gguf", "--context-tokens", 512),
        *("--parallel", 3, "--threads", 2),
    )[1]
    assert opened[0] == ("http://a.example/v1",)
    assert {key: str(value) for key, value in opened[1]["adapters"].items()} == {"a": "a.gguf", "b": "b.gguf"}
    assert {key: value for key, value in opened[1].items() if key != "adapters"} == {
        "engine": "openai-http",
        "model": "big",
        "api_key": "upstream",
        "context_tokens": 512,
        "parallel": 3,
        "threads": 2,
    }


def test_the_guard_is_on_off_or_a_domains(served, tmp_path):
    (tmp_path / "domain.yaml").write_text("name: garden\nsystem_prompt: You help in the garden.\n")
    model = ("--model", "x.gguf")
    assert served(*model)[2].name == "ta-safety: default policy"
    assert served(*model, "--guard", "off")[2] is None
    assert served(*model, "--guard", tmp_path)[2].name == "ta-safety: garden"


def test_an_index_is_opened_before_the_server_starts(served, tmp_path):
    pytest.importorskip("bm25s", reason="needs tunedassist-api[retrieve]")
    (tmp_path / "notes.txt").write_text("The oak is old.\n")
    assert served("--model", "x.gguf")[3] is None
    assert served("--model", "x.gguf", "--index", tmp_path)[3].name == f"{tmp_path.name}: 1 passages"


def test_an_option_may_come_from_a_file_named_env(served, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEDASSIST_API_MAX_QUEUE", "3")  # remembered, so that what the file sets is undone
    monkeypatch.delenv("TUNEDASSIST_API_MAX_QUEUE")
    (tmp_path / ".env").write_text("TUNEDASSIST_API_MAX_QUEUE=5\n")
    assert served("--model", "x.gguf")[0].max_queue == 5


def test_an_option_may_come_from_the_environment(served, monkeypatch):
    monkeypatch.setenv("TUNEDASSIST_API_MAX_QUEUE", "4")
    monkeypatch.setenv("TUNEDASSIST_API_MODEL", "x.gguf")
    assert served()[0].max_queue == 4


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models/tiny.Q8_0.gguf", "tiny.Q8_0"),
        ("runs/linux-cli/gguf", "linux-cli"),
        ("models/smollm", "smollm"),
        ("/model", "model"),
        ("smollm2-135m-instruct", "smollm2-135m-instruct"),
        ("http://a.example:8000/v1", "a.example"),
    ],
)
def test_the_model_is_called_by_its_path(path, name):
    assert model.model_name(path) == name


WRONG = {
    "no model": ((), 2, "which model?"),
    "an unknown engine": (("--model", "x", "--engine", "y"), 2, "choose one of auto, llama-cpp"),
    "an adapter without a name": (("--model", "x", "--adapter", "a.gguf"), 3, "expected NAME=FILE.gguf"),
    "an adapter twice": (("--model", "x", "--adapter", "a=1", "--adapter", "a=2"), 3, "there twice"),
    "no key file": (("--model", "x", "--keys-file", "gone.json"), 3, "tunedassist-api keys add"),
    "no index": (("--model", "x", "--index", "gone"), 3, "gone: no such file or folder"),
    "a port beyond 65535": (("--model", "x", "--port", "70000"), 2, "equal to 65535"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_line_says_what_to_do(tunedassist_api, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, code, message = WRONG[name]
    left, _, told = tunedassist_api("--port", "0", *arguments)
    assert left == code
    assert message in " ".join(told.replace("│", " ").split())


@pytest.mark.parametrize("engine", ["auto", "llama-cpp", "xllamacpp"])
def test_a_gguf_file_that_is_not_there_is_one_line(tunedassist_api, tmp_path, engine):
    code, _, told = tunedassist_api("--model", tmp_path / "gone.gguf", "--port", 0, "--engine", engine)
    assert (code, told) == (3, f"error: {tmp_path}/gone.gguf: no such file\n")


def test_a_folder_that_is_not_there_is_one_line(tunedassist_api, tmp_path):
    code, _, told = tunedassist_api("--model", tmp_path / "gone", "--port", 0)
    assert (code, told.count("\n")) == (3, 1)
    assert told.startswith(f"error: {tmp_path}/gone: no such file or folder: expected a .gguf file, ")


def test_keys_are_added_listed_and_removed(tunedassist_api, tmp_path):
    file = ("--file", tmp_path / "keys.json")
    code, key, _ = tunedassist_api("keys", "add", "alice", *file, "--requests-per-minute", 60)
    assert code == 0
    assert key.startswith("ta-")
    assert tunedassist_api("keys", "add", "alice", *file)[0] == 3
    (listed,) = json.loads(tunedassist_api("keys", "list", "--json", *file)[1])
    assert (listed["name"], listed["requests_per_minute"]) == ("alice", 60)
    assert "sha256" not in listed
    assert "alice" in tunedassist_api("keys", "list", *file)[1]
    assert tunedassist_api("keys", "remove", "bob", *file)[0] == 3
    assert tunedassist_api("keys", "remove", "alice", *file)[0] == 0
    assert json.loads(tunedassist_api("keys", "list", "--json", *file)[1]) == []


def test_a_key_needs_a_name_that_can_be_logged(tunedassist_api, tmp_path):
    code, _, told = tunedassist_api("keys", "add", "a b", "--file", tmp_path / "keys.json")
    assert (code, told.startswith("error: name: ")) == (3, True)
    assert not (tmp_path / "keys.json").exists()


def test_the_readme_names_every_option():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    rows = "\n".join(line.split("| ")[1] for line in readme.splitlines() if line.startswith("| `--"))
    for parameter in get_command(app).params:
        if parameter.name != "help":
            assert f"`{parameter.opts[0]}" in rows


def test_help_loads_nothing_heavy():
    heavy = "{'fastapi', 'uvicorn', 'pydantic', 'ta_serve', 'llama_cpp', 'torch', 'prometheus_client'}"
    code = (
        "import sys, tunedassist_api.cli as c\n"
        "sys.argv = ['tunedassist-api', '--help']\n"
        "try: c.app()\n"
        "except SystemExit: pass\n"
        f"print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "Example: tunedassist-api --model smollm2-135m-instruct" in " ".join(done.stdout.split())
