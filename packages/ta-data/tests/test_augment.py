"""The augmentor against a small real server that answers well, badly, late, twice and not at all."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ta_data.augment.prompts import chunks
from ta_data.augment.templates import paraphrases

Answer = Callable[[str, int], Any]
"""Takes the prompt and how often it was asked; gives the text, a status, or seconds to hang."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    answer: Answer
    asked: list[str]
    bodies: list[Any]
    headers: list[Any]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        server.asked.append(prompt)
        server.bodies.append(body)
        server.headers.append(dict(self.headers))
        given = server.answer(prompt, server.asked.count(prompt))
        if isinstance(given, float):
            time.sleep(given)
            given = 503
        status, text = (given, "") if isinstance(given, int) else (200, given)
        content = {
            "choices": [{"message": {"content": text}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        }
        raw = text.encode() if text.startswith("RAW ") else json.dumps(content).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            if status == 429:
                self.send_header("Retry-After", "0.01")
            self.end_headers()
            self.wfile.write(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client did not wait

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.asked, made.bodies, made.headers = [], [], []
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


class Result:
    def __init__(self, ran: Any, out: Path, rejected: Path) -> None:
        self.code, self.err = ran.code, ran.err
        self.rows = [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []
        self.rejected = [json.loads(line)["reason"] for line in rejected.read_text().splitlines()]
        self.summary = json.loads(ran.err)


@pytest.fixture
def ask(
    server: Server, tmp_path: Path, make: Any, ta_data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    monkeypatch.setattr("ta_data.augment.teacher.WAIT_S", 0.01)

    def run(rows: list[Any], answer: Answer, *options: object) -> Result:
        server.answer = answer
        source, out, rejected = (tmp_path / name for name in ("in.jsonl", "out.jsonl", "rejected.jsonl"))
        make.lines(source, rows)
        url = f"http://127.0.0.1:{server.server_port}/v1"
        files = ("--out", out, "--rejected", rejected, "--teacher", url, "--model", "big")
        return Result(ta_data("augment", source, *files, *options), out, rejected)

    return run


Ask = Callable[..., Result]
DOCUMENT = {
    "id": "d1",
    "text": "# Lids\n\nThe red lid turns left and opens slowly.",
    "source": "d.md",
    "license": "MIT",
}
PAIR = {"id": "p1", "prompt": "How do I open lid 7?", "completion": "Turn lid 7 left."}


def replies(*items: Any) -> Answer:
    return lambda prompt, times: json.dumps(list(items))


def qa(question: str, answer: str = "The red lid turns left.") -> dict[str, str]:
    return {"question": question, "answer": answer}


def test_questions_from_a_document_are_marked_and_traceable(ask: Ask) -> None:
    done = ask([DOCUMENT], replies(qa("Where does it turn?")))

    (row,) = done.rows
    assert [m["content"] for m in row["messages"]] == ["Where does it turn?", "The red lid turns left."]
    assert (row["source"], row["license"]) == ("d.md", "MIT")
    assert row["synthetic"].keys() == {"teacher", "kind", "prompt", "of"}
    assert (row["synthetic"]["teacher"], row["synthetic"]["of"]) == ("big", "d1")
    assert done.summary["teacher"]["prompt_tokens"] == 7


BAD = {
    "not a JSON list": "I would rather talk about the weather.",
    "wrong shape": json.dumps([{"q": "x"}]),
    "empty": json.dumps([qa("", "The red lid.")]),
    "answer not in the document": json.dumps([qa("Why?", "Because penguins cannot really swim anywhere.")]),
    "refers to the document": json.dumps([qa("What does this document say?")]),
    "refusal": json.dumps([qa("How?", "As an AI language model I cannot say.")]),
    "too long": json.dumps([qa("How?", "lid " * 500)]),
}


@pytest.mark.parametrize("reason", BAD)
def test_rubbish_is_turned_away_with_a_reason_and_the_good_rows_stay(ask: Ask, reason: str) -> None:
    other = {**DOCUMENT, "id": "d2", "text": "# Pots\n\nThe red lid turns left, on pots too."}

    done = ask([DOCUMENT, other], lambda p, _: BAD[reason] if "slowly" in p else json.dumps([qa("Where to?")]))

    assert done.rejected == [reason]
    assert done.summary["rejected"] == {reason: 1}
    assert [row["synthetic"]["of"] for row in done.rows] == ["d2"]


def test_one_bad_row_of_a_reply_does_not_spoil_the_others(ask: Ask) -> None:
    done = ask([DOCUMENT], replies(qa("Which one?"), {"question": 3}, qa("which ONE"), qa("What color?")))

    assert [row["messages"][0]["content"] for row in done.rows] == ["Which one?", "What color?"]
    assert done.rejected == ["wrong shape", "repeats another row"]


@pytest.mark.parametrize("failure", [429, 500, "RAW <html>", '"'])
def test_a_failure_that_passes_is_tried_again(ask: Ask, failure: Any) -> None:
    broken = "RAW {}" if failure == '"' else failure

    done = ask([DOCUMENT], lambda p, times: broken if times < 3 else json.dumps([qa("Where to?")]))

    assert (len(done.rows), done.summary["teacher"]["retries"]) == (1, 2)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(500, "teacher: HTTP 500"), (401, "teacher: HTTP 401"), (1.0, "teacher: timed out")],
)
def test_a_failure_that_stays_costs_its_own_rows_only(ask: Ask, failure: Any, reason: str) -> None:
    other = {**DOCUMENT, "id": "d2", "text": "# Pots\n\nThe red lid turns left, on pots too."}
    options = ("--attempts", 2, "--timeout", 0.2)

    done = ask(
        [DOCUMENT, other], lambda p, _: failure if "slowly" in p else json.dumps([qa("Where?")]), *options
    )

    assert (done.code, done.rejected) == (0, [reason])
    assert len(done.rows) == 1


def test_the_same_command_asks_nothing_twice_and_writes_the_same(
    ask: Ask, server: Server, tmp_path: Path
) -> None:
    first = ask([DOCUMENT, PAIR], replies(qa("Where to?")))
    written = (tmp_path / "out.jsonl").read_bytes()
    with (tmp_path / "out.jsonl.cache.jsonl").open("ab") as cache:
        cache.write(b'{"key": "cut of')
    asked = len(server.asked)

    again = ask([DOCUMENT, PAIR], replies(qa("Something else?")))

    assert (first.summary["teacher"]["requests"], again.summary["teacher"]["cached"]) == (1, 1)
    assert len(server.asked) == asked
    assert (tmp_path / "out.jsonl").read_bytes() == written


def test_a_failed_request_is_asked_again_by_the_next_run(ask: Ask) -> None:
    assert ask([DOCUMENT], lambda p, _: 400).rows == []
    assert len(ask([DOCUMENT], replies(qa("Where to?"))).rows) == 1


def test_paraphrases_keep_answer_task_and_every_key(ask: Ask) -> None:
    done = ask(
        [PAIR],
        replies(qa("Lid 7, how to open?"), qa("How to open lid 8?"), qa("how do I open lid 7")),
        "--kind",
        "paraphrase",
    )

    (row,) = done.rows
    assert row["messages"][1]["content"] == PAIR["completion"]
    assert row["task"] == "p1"
    assert done.rejected == ["a name, number or option is lost", "the question again"]


def test_follow_ups_continue_the_conversation(ask: Ask) -> None:
    (row,) = ask([PAIR], replies(qa("And then?", "Pull it.")), "--kind", "multi-turn").rows

    assert [m["content"] for m in row["messages"]] == [
        PAIR["prompt"],
        PAIR["completion"],
        "And then?",
        "Pull it.",
    ]


def test_unanswerable_questions_get_the_refusal_of_the_domain(ask: Ask, domain: Path) -> None:
    (row,) = ask(
        [DOCUMENT], replies({"question": "Who made it?"}), "--kind", "unanswerable", "--domain", domain
    ).rows

    assert [m["content"] for m in row["messages"]] == ["Be brief.", "Who made it?", "I only copy."]
    assert row["kind"] == "out-of-scope"


def test_hard_negatives_bring_their_own_answer(ask: Ask) -> None:
    (row,) = ask([PAIR], replies(qa("How do I close lid 7?", "Turn it right.")), "--kind", "hard-negative").rows

    assert row["messages"][1]["content"] == "Turn it right."
    assert "task" not in row


def test_distillation_asks_the_question_as_it_is_with_the_system_prompt(
    ask: Ask, server: Server, domain: Path
) -> None:
    (row,) = ask([PAIR], lambda p, _: "Left, gently.", "--kind", "distill", "--domain", domain).rows

    assert [m["content"] for m in server.bodies[0]["messages"]] == ["Be brief.", PAIR["prompt"]]
    assert row["messages"][-1]["content"] == "Left, gently."


def test_the_style_of_the_domain_reaches_the_teacher_where_answers_are_written(
    ask: Ask, server: Server, domain: Path
) -> None:
    text = (domain / "domain.yaml").read_text()
    (domain / "domain.yaml").write_text(text + "answer_style:\n  - in rhymes\n")

    ask([DOCUMENT], replies(), "--domain", domain)
    ask([PAIR], replies(), "--kind", "paraphrase", "--domain", domain)

    assert [m["role"] for m in server.bodies[0]["messages"]] == ["system", "user"]
    assert server.bodies[0]["messages"][0]["content"] == "Answers are written like this:\n- in rhymes"
    assert [m["role"] for m in server.bodies[1]["messages"]] == ["user"]


def test_the_key_and_the_number_of_rows_reach_the_server(
    ask: Ask, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "abc")

    ask([DOCUMENT], replies(), "--key-variable", "MY_KEY", "--count", 5)

    assert server.headers[0]["Authorization"] == "Bearer abc"
    assert "Write 5 questions" in server.asked[0]


def test_an_estimate_sends_nothing(
    ask: Ask, server: Server, tmp_path: Path, ta_data: Callable[..., Any], make: Any
) -> None:
    make.lines(tmp_path / "in.jsonl", [DOCUMENT])

    ran = ta_data(
        "augment", tmp_path / "in.jsonl", "--estimate", "--price-in", 1e6, "--price-out", 0, "--count", 2
    )

    guess = json.loads(ran.err)
    assert (guess["requests"], guess["completion_tokens"], server.asked) == (1, 120, [])
    assert guess["cost"] == guess["prompt_tokens"] > 0


def test_a_rate_limit_of_ours_is_kept(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("ta_data.augment.teacher.time.sleep", waited.append)
    rows = [{**DOCUMENT, "id": f"d{n}", "text": f"The red lid {n} turns left."} for n in range(3)]

    ask(rows, replies(qa("Where to?")), "--per-minute", 60, "--concurrency", 1)

    assert [round(s) for s in waited] == [1, 2] or [round(s) for s in waited] == [1, 1]


def test_without_a_teacher_or_rows_it_says_what_is_missing(
    tmp_path: Path, make: Any, ta_data: Callable[..., Any]
) -> None:
    rows = make.lines(tmp_path / "in.jsonl", [PAIR])

    assert "no documents (rows with text) in it" in ta_data("augment", rows).err
    assert "name the server's base URL" in ta_data("augment", rows, "--kind", "paraphrase").err
    assert "templates only paraphrase" in ta_data("augment", rows, "--kind", "distill", "--offline").err


def test_templates_paraphrase_without_a_teacher(tmp_path: Path, make: Any, ta_data: Callable[..., Any]) -> None:
    rows = make.lines(tmp_path / "in.jsonl", [PAIR, DOCUMENT])

    ta_data("augment", rows, "--kind", "paraphrase", "--offline", "--count", 4, "--out", tmp_path / "o.jsonl")

    made = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    asked = [row["messages"][0]["content"] for row in made]
    assert len(set(asked)) == 4
    assert all("open lid 7" in question for question in asked)
    assert {row["synthetic"]["teacher"] for row in made} == {"templates"}


def test_a_paraphrase_of_a_warning_is_a_warning(tmp_path: Path, make: Any, ta_data: Callable[..., Any]) -> None:
    rows = make.lines(
        tmp_path / "in.jsonl", [{**make.chat("How do I wipe it?", "Warning: all is lost."), "kind": "warn"}]
    )

    ta_data("augment", rows, "--kind", "paraphrase", "--offline", "--out", tmp_path / "out.jsonl")

    made = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {row["kind"] for row in made} == {"warn"}


def test_the_same_question_gets_the_same_paraphrases() -> None:
    assert list(paraphrases("Why is it red?", 3)) == list(paraphrases("Why is it red?", 3))
    assert list(paraphrases("Strange input", 9))


def test_a_document_is_cut_at_headings_and_a_part_keeps_its_heading() -> None:
    text = "# One\n\n" + "\n\n".join(f"para {n} " + "word " * 20 for n in range(4)) + "\n\n# Two\n\nend"

    made = list(chunks(text, 50))

    assert [part.split("\n")[0] for part in made] == ["# One", "# One", "# Two"]
    assert sum(part.count("para") for part in made) == 4
