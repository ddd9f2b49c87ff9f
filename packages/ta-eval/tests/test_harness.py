"""lm-eval tasks and the log-probability probe, against small servers with a real (tiny) language model."""

import json
import math
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from ta_eval.benchmark import read_benchmark
from ta_eval.harness.functions import process_answer
from ta_eval.harness.probe import FEWEST, PROMPTS, probe
from ta_eval.harness.tasks import write_tasks
from ta_eval.http_target import HttpTarget
from ta_schemas import InputError, SetupError
from ta_schemas.jsonl import read_objects

Write = Callable[..., Path]
Make = Callable[..., dict[str, Any]]
Cli = Callable[..., Any]


def logprob(before: str, token: str) -> float:
    """A language model over words, with no reason behind it but that no word follows itself."""
    return -1.0 - (sum(map(ord, before)) * 7 + sum(map(ord, token)) * 13) % 23 - 9.0 * (before == token)


class LogprobServer:
    """Speaks `/v1/completions` and `/v1/chat/completions`; `fault` says what it tells wrong."""

    WORDS = (" Paris", " ls", " -a", " five", " six", " here", " there", " and", ",", " B", " A")

    def __init__(self) -> None:
        self.fault = ""
        self.requests: list[dict[str, Any]] = []
        handler = type("Handler", (_Handler,), {"model": self})
        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        tokens = re.findall(r"\s?\w+|\s?[^\w\s]|\s", body["prompt"])
        told: list[float | None] = [None] + [logprob(a, b) for a, b in pairwise(tokens)]
        made, made_told = [], []
        for _ in range(body["max_tokens"]):
            before = (tokens + made)[-1]
            made.append(max(self.WORDS, key=lambda word: logprob(before, word)))
            made_told.append(logprob(before, made[-1]))
        if self.fault == "shifted":
            told = [logprob(token, token) for token in tokens]
        if self.fault == "null":
            told = [None] * len(tokens)
        if self.fault == "noisy":
            told = [value and value + 0.04 for value in told]
        every = (
            (tokens + made, told + made_told) if body["echo"] and self.fault != "no echo" else (made, made_told)
        )
        found = {"tokens": every[0], "token_logprobs": every[1], "text_offset": []}
        return {"text": "".join(every[0]), "logprobs": None if self.fault == "no logprobs" else found}


class _Handler(BaseHTTPRequestHandler):
    model: LogprobServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.model.requests.append({**body, "path": self.path})
        status, choice = 200, {"message": {"content": "B"}, "finish_reason": "stop"}
        if self.path == "/v1/completions":
            status, choice = (
                (501, {}) if self.model.fault == "no endpoint" else (200, self.model.completion(body))
            )
        text = json.dumps({"choices": [choice]}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def model() -> Iterator[LogprobServer]:
    server = LogprobServer()
    yield server
    server.close()


def probed(model: LogprobServer) -> Any:
    with httpx.Client() as client:
        return probe(client, model.url, "m")


def test_a_server_that_tells_the_truth_is_accepted(model: LogprobServer) -> None:
    found = probed(model)
    assert found.ok
    assert found.compared >= FEWEST


def test_a_model_that_only_repeats_itself_cannot_be_judged_by(
    model: LogprobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogprobServer, "WORDS", (" here",))
    assert probed(model) == (False, f"only {len(PROMPTS)} tokens can be compared", len(PROMPTS))


def test_the_noise_of_another_batch_size_is_accepted(model: LogprobServer) -> None:
    model.fault = "noisy"
    assert probed(model).ok


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("shifted", "shifted or wrong: "),
        ("null", "the prompt's log-probabilities are null"),
        ("no echo", "the prompt's log-probabilities are missing"),
        ("no logprobs", "generated tokens come without log-probabilities"),
    ],
)
def test_a_server_that_tells_log_probabilities_wrong_is_refused(
    model: LogprobServer, fault: str, reason: str
) -> None:
    model.fault = fault
    found = probed(model)
    assert not found.ok
    assert found.reason.startswith(reason)


def test_a_server_without_completions_is_a_setup_error(model: LogprobServer) -> None:
    model.fault = "no endpoint"
    with pytest.raises(SetupError, match="completions: 501"):
        probed(model)


def test_the_probe_of_the_command_line_leaves_with_6_where_it_refuses(cli: Cli, model: LogprobServer) -> None:
    options = ["harness", "probe", "--base-url", model.url, "--model", "m"]
    assert "tokens agree" in cli(*options).stdout
    model.fault = "shifted"
    done = cli(*options)
    assert done.returncode == 6
    assert "shifted or wrong" in done.stderr


@pytest.fixture
def questions(write_benchmark: Write, make_item: Make) -> Path:
    """Two exact items, one choice, one of two turns, one with a system message."""
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    system = [{"role": "system", "content": "s"}, {"role": "user", "content": "c"}]
    choice = {"scorer": "multiple_choice", "choices": ["one", "two"], "answer": "B", "references": []}
    extra = [make_item(2, **choice), make_item(3, messages=turns), make_item(4, messages=system)]
    return write_benchmark([make_item(0), make_item(1), *extra], "my set.jsonl")


def test_tasks_hold_every_item_of_one_message_and_count_the_others(questions: Path, tmp_path: Path) -> None:
    written = write_tasks(read_benchmark(questions), tmp_path / "t", max_tokens=33)
    assert written.items == {"ta_my_set": 3, "ta_my_set_choice": 1}
    assert written.left_out == {"several turns": 1, "system message of its own": 1}
    assert "max_gen_toks: 33" in (tmp_path / "t" / "ta_my_set.yaml").read_text()
    docs = [doc for _, doc in read_objects(tmp_path / "t" / "choice.jsonl")]
    assert [(doc["id"], doc["letters"], doc["right"]) for doc in docs] == [("item-002", ["A", "B"], 1)]


def test_a_folder_that_is_there_is_not_written_over(questions: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        write_tasks(read_benchmark(questions), tmp_path)


def test_a_row_of_a_task_is_scored_by_our_scorer(questions: Path, tmp_path: Path) -> None:
    write_tasks(read_benchmark(questions), tmp_path / "t")
    docs = [doc for _, doc in read_objects(tmp_path / "t" / "answer.jsonl")]
    assert [process_answer(doc, ["1"]) for doc in docs] == [{"score": 0.0}, {"score": 1.0}, {"score": 0.0}]


def test_an_answer_that_cannot_be_scored_is_left_out_of_the_mean(
    make_item: Make, write_benchmark: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ta_eval.sandbox.bwrap import Refused

    monkeypatch.setattr("ta_eval.scorers.execution.find_sandbox", lambda: Refused("none"))
    monkeypatch.setattr("ta_eval.sandbox.bwrap.find_sandbox", lambda: Refused("none"))
    rows = [make_item(0, scorer="command_execution", references=["ls -a"])]
    write_tasks(read_benchmark(write_benchmark(rows)), tmp_path / "t")
    assert (
        process_answer(next(doc for _, doc in read_objects(tmp_path / "t" / "answer.jsonl")), ["`ls -l`"]) == {}
    )


def test_tasks_of_the_command_line_come_from_a_file_or_an_artifact(
    cli: Cli, questions: Path, tmp_path: Path
) -> None:
    done = cli("harness", "tasks", questions, "--out", tmp_path / "t", "--max-tokens", 9)
    assert re.search(r"ta_my_set +3 items", done.stdout)
    assert re.search(r"left out: several turns +1 items", done.stdout)
    answers = tmp_path / "a.jsonl"
    answers.write_text("".join(json.dumps({"id": f"item-00{n}", "output": "1"}) + "\n" for n in range(5)))
    assert cli("score", answers, questions, "--out", tmp_path / "p").returncode == 0
    assert "3 items" in cli("harness", "tasks", tmp_path / "p", "--out", tmp_path / "t2").stdout


def test_without_the_extra_a_run_says_what_to_install(
    questions: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from importlib.metadata import PackageNotFoundError

    from ta_eval.harness import run

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(run, "version", missing)
    with pytest.raises(SetupError, match=r"install ta-eval\[lm-eval\]"):
        run.run_harness(tmp_path, benchmark=read_benchmark(questions))


@pytest.mark.parametrize(
    "options",
    [[], ["--model-folder", ".", "--base-url", "http://x/v1", "--model", "m"], ["--base-url", "http://x/v1"]],
)
def test_a_run_needs_either_a_folder_or_a_server(cli: Cli, questions: Path, options: list[str]) -> None:
    done = cli("harness", "run", questions, *options)
    assert done.returncode == 3
    assert "expected --model-folder, or --base-url with --model" in done.stderr


@pytest.fixture
def lm_eval() -> Any:
    return pytest.importorskip("lm_eval", reason="needs the extra ta-eval[lm-eval]")


def run_over_http(model: LogprobServer, questions: Path, **options: Any) -> Any:
    from ta_eval.harness.run import run_harness

    return run_harness(HttpTarget("t", model.url, "m"), benchmark=read_benchmark(questions), **options)


@pytest.mark.slow
def test_answers_over_http_are_scored_through_lm_eval(
    lm_eval: Any, model: LogprobServer, questions: Path
) -> None:
    result = run_over_http(model, questions, system_prompt="Be brief.", max_tokens=7)
    assert result.tasks["ta_my_set"]["score"] == pytest.approx(1 / 3)
    assert [(row.id, row.score) for row in result.scores] == [("item-000", 0), ("item-001", 0), ("item-002", 1)]
    assert result.left_out["several turns"] == 1
    assert model.requests[0]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert model.requests[0]["max_tokens"] == 7


@pytest.mark.slow
def test_choices_over_http_are_scored_by_log_likelihood_after_the_probe(
    lm_eval: Any, model: LogprobServer, questions: Path
) -> None:
    result = run_over_http(model, questions, loglikelihood=True)
    expected = logprob(":", " B") > logprob(":", " A")
    assert result.tasks["ta_my_set_choice"]["acc"] == float(expected)
    assert math.isfinite(result.scores[0].score or 0.0)
    model.fault = "shifted"
    with pytest.raises(SetupError, match="no log-likelihood task on this server: shifted"):
        run_over_http(model, questions, loglikelihood=True)


@pytest.mark.slow
def test_the_limit_is_kept(lm_eval: Any, model: LogprobServer, questions: Path) -> None:
    assert len(run_over_http(model, questions, limit=1).scores) == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A random two-layer Llama with a tokenizer of whole words."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = [
        "<unk>",
        "<s>",
        "</s>",
        *["user", "assistant", "question", "Answer", ":", "0", "1", "2", "3", "A", "B"],
    ]
    model = tokenizers.models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>")
    plain = tokenizers.Tokenizer(model)
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}assistant"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    place = tmp_path / "model"
    transformers.LlamaForCausalLM(config).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_model_folder_is_run_in_this_process(lm_eval: Any, folder: Path, questions: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ta_eval.harness.run import run_harness

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("question 2 Answer :", return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        last = model(ids).logits[0, -1]
    a, b = (tokenizer.convert_tokens_to_ids(letter) for letter in "AB")
    items = read_benchmark(questions)
    result = run_harness(folder, benchmark=items, loglikelihood=True, chat=False)
    assert result.tasks["ta_my_set_choice"]["acc"] == float(last[b] > last[a])
    answered = run_harness(folder, benchmark=items, max_tokens=3)
    assert [row.id for row in answered.scores] == ["item-000", "item-001", "item-002"]


def test_a_folder_without_a_model_is_refused(
    questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ta_eval.harness import run

    with pytest.raises(InputError, match=r"no config\.json"):
        run._model(tmp_path, "")
