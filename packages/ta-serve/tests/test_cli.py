import builtins
import io
import json
import sys

import pytest
from serve_fixtures import ask

from ta_schemas import read_jsonl
from ta_schemas.rows import PredictionRow
from ta_serve.chat import converse
from ta_serve.cli import main


def run(monkeypatch, *arguments):
    """The command line in this process; gives the exit code."""
    monkeypatch.setattr(sys, "argv", ["ta-serve", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code or 0


@pytest.fixture
def cpu(monkeypatch, capsys):
    """Run a command on the CPU; gives exit code, stdout, stderr."""

    def call(command, *arguments):
        code = run(monkeypatch, command, *arguments, "--device", "cpu", "--dtype", "float32")
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def questions(tmp_path):
    file = tmp_path / "questions.jsonl"
    rows = [{"id": f"q{n}", "messages": ask(f"question {n}"), "scorer": "exact"} for n in range(5)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def outputs(file):
    return [row.output for row in read_jsonl(file, PredictionRow)]


def test_one_message_is_answered_on_stdout_with_the_settings_of_the_adapter(cpu, adapter):
    code, out, _ = cpu("chat", adapter.path, "--message", "Hi", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["completion_tokens"] <= 9
    code, streamed, _ = cpu("chat", adapter.path, "--message", "Hi")
    assert streamed == answer["text"] + "\n"


def test_options_of_chat_have_an_effect(cpu, adapter):
    def answer(*options):
        code, out, err = cpu("chat", adapter.path, "-m", "Hi", "--json", *options)
        assert code == 0, err
        return json.loads(out)

    plain = answer()
    assert answer("--max-tokens", 3)["completion_tokens"] == 3
    assert answer("--system", "")["prompt_tokens"] < plain["prompt_tokens"]
    assert answer("--temperature", 3)["text"] != plain["text"]
    assert answer("--temperature", 3, "--seed", 1)["text"] != answer("--temperature", 3, "--seed", 2)["text"]


@pytest.fixture
def notes(tmp_path):
    """Something to ground answers in."""
    pytest.importorskip("bm25s", reason="needs ta-serve[retrieve]")
    (tmp_path / "notes.md").write_text("## Trees\n\nThe oak is old.\n")
    return tmp_path / "notes.md"


def test_an_index_puts_passages_before_the_model_and_their_places_behind_the_answer(cpu, adapter, notes):
    def answer(*options):
        code, out, err = cpu("chat", adapter.path, "-m", "How old is the oak?", "--max-tokens", 4, *options)
        assert code == 0, err
        return out

    plain, grounded = json.loads(answer("--json")), json.loads(answer("--json", "--index", notes))
    assert "citations" not in plain
    assert grounded["prompt_tokens"] > plain["prompt_tokens"]
    assert [(c["source"], c["span"]) for c in grounded["citations"]] == [("notes.md", [1, 3])]
    assert answer("--index", notes) == f"{grounded['text']}\n\nSources: [1] notes.md:1-3\n"


def test_an_index_that_is_not_there_is_one_line(cpu, adapter, tmp_path):
    code, _, err = cpu("chat", adapter.path, "-m", "Hi", "--index", tmp_path / "gone")
    assert (code, err) == (3, f"error: {tmp_path}/gone: no such file or folder\n")


def test_device_and_dtype_are_passed_on(monkeypatch, capsys, adapter):
    assert run(monkeypatch, "chat", adapter.path, "-m", "Hi", "--device", "tpu") == 3
    assert "device 'tpu'" in capsys.readouterr().err
    assert run(monkeypatch, "chat", adapter.path, "-m", "Hi", "--dtype", "int3") == 3
    assert "dtype 'int3'" in capsys.readouterr().err


def test_json_without_a_message_is_refused(cpu, adapter):
    code, _, err = cpu("chat", adapter.path, "--json")
    assert code == 3
    assert err == "error: --json: only together with --message\n"


def test_a_conversation_from_a_pipe_is_answered_line_by_line(cpu, adapter, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("Hi\n\nls\n"))
    code, out, err = cpu("chat", adapter.path)
    assert code == 0
    assert out.count("\n") >= 2
    assert "Ctrl-D leaves" in err


def test_the_history_goes_along_and_new_forgets_it(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\n/new\nthree\n"))
    seen = []

    def answer(messages):
        seen.append([m["content"] for m in messages])
        yield "an"
        yield "swer"

    history = converse(answer, system="S", name="test")
    assert seen == [["S", "one"], ["S", "one", "answer", "two"], ["S", "three"]]
    assert history[-1] == {"role": "assistant", "content": "answer"}


def test_ctrl_c_stops_the_answer_and_the_conversation_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\n"))
    closed = []

    def answer(messages):
        try:
            yield "begun"
            if len(messages) == 1:
                raise KeyboardInterrupt
            yield " and ended"
        finally:
            closed.append(True)

    history = converse(answer, system="", name="test")
    assert [m["content"] for m in history] == ["one", "begun", "two", "begun and ended"]
    assert closed == [True, True]
    assert "(stopped)" in capsys.readouterr().err


def test_a_conversation_too_long_for_the_model_says_how_to_go_on(monkeypatch, capsys, engine):
    monkeypatch.setattr(sys, "stdin", io.StringIO("word " * 700 + "\nHi\n"))
    history = converse(lambda m: engine.stream(m, max_tokens=4), system="", name="test")
    assert [m["role"] for m in history] == ["user", "assistant"]
    assert "/new starts again" in capsys.readouterr().err


def test_generate_answers_a_file_as_the_engine_does(cpu, base, engine, questions, tmp_path):
    out = tmp_path / "deep" / "answers.jsonl"
    code, printed, _ = cpu("generate", base.path, "--in", questions, "--out", out, "--max-tokens", 8, "--json")
    assert code == 0
    rows = list(read_jsonl(out, PredictionRow))
    assert [row.id for row in rows] == ["q0", "q1", "q2", "q3", "q4"]
    expected = engine.generate([ask(f"question {n}") for n in range(5)], max_tokens=8)
    assert [row.output for row in rows] == [answer.text for answer in expected]
    assert json.loads(printed)["rows"] == 5


def test_options_of_generate_have_an_effect(cpu, adapter, questions, tmp_path):
    def answers(name, *options):
        out = tmp_path / f"{name}.jsonl"
        code, _, err = cpu("generate", adapter.path, "--in", questions, "--out", out, *options)
        assert code == 0, err
        return list(read_jsonl(out, PredictionRow))

    plain = answers("plain")
    assert max(row.completion_tokens for row in plain) <= 9
    assert max(row.completion_tokens for row in answers("short", "--max-tokens", 2)) == 2
    assert answers("system", "--system", "")[0].prompt_tokens < plain[0].prompt_tokens
    assert answers("hot", "--temperature", 3) != plain
    assert answers("s1", "--temperature", 3, "--seed", 1) != answers("s2", "--temperature", 3, "--seed", 2)
    assert answers("single", "--max-batch-tokens", 1) == plain


def test_an_index_grounds_the_answers_of_a_file(cpu, base, notes, tmp_path):
    source = tmp_path / "asked.jsonl"
    source.write_text(json.dumps({"id": "q", "messages": ask("How old is the oak?")}) + "\n")

    def prompt_tokens(*options):
        out = tmp_path / "answers.jsonl"
        asked = ("--in", source, "--out", out, "--max-tokens", 2, "--force")
        assert cpu("generate", base.path, *asked, *options)[0] == 0
        (row,) = read_jsonl(out, PredictionRow)
        return row.prompt_tokens

    assert prompt_tokens("--index", notes) > prompt_tokens()


def test_max_batch_tokens_reaches_the_engine(cpu, base, questions, tmp_path, monkeypatch):
    from ta_serve.engines import decode

    batches = []
    real = decode.plan_batches

    def spy(*arguments, **options):
        batches.append(real(*arguments, **options))
        return batches[-1]

    monkeypatch.setattr(decode, "plan_batches", spy)
    for at, bound in enumerate((1, 8192)):
        out = tmp_path / f"{at}.jsonl"
        cpu("generate", base.path, "--in", questions, "--out", out, "--max-batch-tokens", bound)
    assert [len(plan) for plan in batches] == [5, 1]


def test_an_existing_output_is_kept_unless_forced(cpu, base, questions, tmp_path):
    out = tmp_path / "answers.jsonl"
    out.write_text("mine")
    code, _, err = cpu("generate", base.path, "--in", questions, "--out", out, "--max-tokens", 2)
    assert code == 3
    assert "pass --force" in err
    assert out.read_text() == "mine"
    code, _, _ = cpu("generate", base.path, "--in", questions, "--out", out, "--max-tokens", 2, "--force")
    assert code == 0
    assert len(outputs(out)) == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "the last one must be the user's"),
        ('{"messages": []}', "the last one must be the user's"),
        ('{"id": "q0", "messages": [{"role": "user", "content": "x"}]}', "is there twice"),
        ('{"text": "x"}', "messages: required field is missing"),
    ],
)
def test_bad_rows_are_named(cpu, base, questions, tmp_path, line, message):
    questions.write_text(questions.read_text() + line + "\n")
    code, _, err = cpu("generate", base.path, "--in", questions, "--out", tmp_path / "out.jsonl")
    assert code == 3
    assert message in err
    assert err.count("\n") == 1


def test_a_tampered_adapter_is_refused_with_exit_code_4(cpu, adapter, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(adapter.path, copy)
    (copy / "settings.json").write_text("{}")
    code, out, err = cpu("chat", copy, "-m", "Hi")
    assert (code, out) == (4, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_missing_extra_is_named_with_exit_code_5(cpu, base, monkeypatch):
    real = builtins.__import__

    def without_peft(name, *rest, **options):
        if name.partition(".")[0] == "peft":
            raise ImportError("No module named 'peft'", name="peft")
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_peft)
    code, _, err = cpu("chat", base.path, "-m", "Hi")
    assert code == 5
    assert err == "error: peft is not installed: install ta-serve[transformers]\n"


def test_help_loads_no_model_library():
    import subprocess

    script = (
        "import sys; from ta_serve.cli import app; from typer.testing import CliRunner; "
        "CliRunner().invoke(app, ['chat', '--help']); "
        "print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_openmp_threads_are_told_not_to_spin_for_long_before_torch_is_loaded():
    import os
    import subprocess

    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    script = (
        "import os, sys, ta_serve.cli; "
        "print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["PASSIVE", "4000", "False"]
