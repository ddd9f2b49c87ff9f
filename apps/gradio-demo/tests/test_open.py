"""What the demo is opened on: a run, a model, a server, a domain; and the command line."""

import json
import socket
import subprocess
import sys

import pytest

from ta_schemas import ArtifactWriter, InputError
from tunedassist_gradio_demo.demo import open_demo
from tunedassist_gradio_demo.models.choices import choices_of_path, choices_of_run
from tunedassist_gradio_demo.models.models import MOST_OPEN

SETTINGS = {
    "system_prompt": "You are tuned.",
    "generation": {"max_tokens": 9, "temperature": 0.5},
    "base_model": {"name": "smollm2-135m-instruct"},
}


@pytest.fixture
def exported(tmp_path):
    """A run with sealed adapter and gguf folders (of no real weights)."""
    run = tmp_path / "runs" / "mine"
    with ArtifactWriter(run / "adapter", kind="adapter", producer="test") as writer:
        (writer.path / "settings.json").write_text(json.dumps(SETTINGS))
    with ArtifactWriter(run / "gguf", kind="gguf", producer="test") as writer:
        (writer.path / "settings.json").write_text(json.dumps(SETTINGS))
        for name in ("model-F16.gguf", "model-Q8_0.gguf", "model-lora-F16.gguf"):
            (writer.path / name).write_bytes(b"GGUF")
        writer.metrics["files"] = {"model-F16.gguf": {}, "model-Q8_0.gguf": {}}
    return run


def test_the_menu_of_a_run_begins_with_the_preferred_quantization(exported):
    names = [choice.name for choice in choices_of_run(exported)]
    assert names == [
        "tuned · Q8_0 (GGUF)",
        "tuned · F16 (GGUF)",
        "tuned · adapter (PyTorch)",
        "base · smollm2-135m-instruct",
    ]


def test_the_base_model_offers_the_runs_lora(exported):
    base = choices_of_run(exported)[-1]
    assert base.role == "base"
    assert base.adapters == {"mine": exported / "gguf" / "model-lora-F16.gguf"}


def test_a_given_path_comes_first_and_is_not_there_twice(exported):
    path = exported / "gguf" / "model-F16.gguf"
    choices = choices_of_path(str(path), exported)
    assert choices[0].name == "given · model-F16"
    assert [choice.target for choice in choices].count(str(path)) == 1


def test_an_empty_run_has_no_models_and_is_no_error(tmp_path):
    assert open_demo(tmp_path / "nothing").models.names == []


def test_a_servers_models_are_the_menu(server, tmp_path):
    demo = open_demo(tmp_path, model=server.url)
    assert demo.models.names == ["tuned", "base"]
    assert demo.models.first("base") == "base"


def test_a_server_is_asked_without_our_settings_for_it_has_its_own(server, exported):
    demo = open_demo(exported, model=server.url)
    asked = demo.models.ask("tuned", "", [{"role": "user", "content": "hi"}])
    list(asked)
    demo.models.done(asked)
    assert "max_tokens" not in server.asked[0]
    assert server.asked[0]["messages"][0]["content"] == "You are tuned."
    demo.models.close()


def test_only_a_few_engines_stay_open(server, tmp_path):
    demo = open_demo(tmp_path, model=server.url)
    first = demo.models.engine("tuned")
    choice = demo.models.choices["tuned"]
    for number in range(MOST_OPEN):
        demo.models.choices[f"copy {number}"] = choice
        demo.models.engine(f"copy {number}")
    assert not first.stats().ready
    demo.models.close()


def test_an_unknown_model_is_named(server, tmp_path):
    with pytest.raises(InputError, match="no model 'other': choose one of tuned, base"):
        open_demo(tmp_path, model=server.url).models.engine("other")


def test_a_model_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        open_demo(tmp_path, model=str(tmp_path / "gone.gguf"))


def test_the_domains_policy_holds_and_its_prompt_where_no_model_brings_one(domain, tmp_path):
    demo = open_demo(tmp_path, domain=domain)
    assert demo.guard.domain.refusal == "I only help with shells."
    assert demo.models.system_prompt == "You help with shells."


def test_the_tuned_prompt_comes_before_the_domains(exported, domain):
    assert open_demo(exported, domain=domain).models.system_prompt == "You are tuned."


def test_feedback_and_votes_lie_in_the_run_unless_told_otherwise(tmp_path):
    demo = open_demo(tmp_path)
    assert (demo.feedback, demo.votes) == (tmp_path / "feedback.jsonl", tmp_path / "ab")
    other = open_demo(tmp_path, feedback=tmp_path / "f", votes=tmp_path / "v")
    assert (other.feedback, other.votes) == (tmp_path / "f", tmp_path / "v")


def command(*arguments):
    program = "from tunedassist_gradio_demo.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_a_domain_that_is_not_there_is_one_line_and_exit_code_3(tmp_path):
    done = command("--run", tmp_path, "--domain", tmp_path / "gone")
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_one_line_and_exit_code_5(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = command("--run", tmp_path, "--port", taken.getsockname()[1])
    assert done.returncode == 5
    assert "name another --port" in done.stderr


def test_the_help_teaches_with_an_example_and_loads_no_gradio():
    program = (
        "import sys; sys.argv = ['x', '--help']\n"
        "from tunedassist_gradio_demo.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'gradio', 'torch', 'numpy', 'pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Example: tunedassist-demo" in done.stdout
    assert done.stdout.rstrip().endswith("[]")
