"""The cleaning commands in a pipe: rows, reasons and counts."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ta_data.clean.keys import keys
from ta_data.clean.pii import find_pii
from ta_data.cli import main


class Piped(NamedTuple):
    rows: list[Any]
    summary: Any
    dropped: list[Any]


Pipe = Callable[..., Piped]


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> Pipe:
    """Run a command with rows on stdin."""

    def run(command: str, rows: list[Any], *options: object) -> Piped:
        raw = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw.encode())))
        dropped = tmp_path / "dropped.jsonl"
        monkeypatch.setattr(
            sys, "argv", ["ta-data", command, "-", *map(str, options), "--dropped", str(dropped)]
        )
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code in (0, None)
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Piped(
            [json.loads(line) for line in out.splitlines()],
            json.loads(err),
            [json.loads(line) for line in dropped.read_text().splitlines()],
        )

    return run


def pair(prompt: str, completion: str, **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "completion": completion, **more}


LONG = "This answer explains in many words how the lid of the pot is opened and closed again without a sound"


def test_dedup_drops_the_later_row_and_says_which_it_resembles(pipe: Pipe) -> None:
    rows = [
        pair("How is the lid opened?", LONG, id="a"),
        pair("how is the lid opened", f"{LONG} today", id="b"),
        pair("How is the lid opened?", LONG, id="c"),
    ]

    done = pipe("dedup", rows)

    assert [row["id"] for row in done.rows] == ["a"]
    assert [(d["id"], d["reason"], d["of"]) for d in done.dropped] == [
        ("b", "near-duplicate", "a"),
        ("c", "exact duplicate", "a"),
    ]
    assert done.summary["input"] == done.summary["output"] + sum(done.summary["dropped"].values()) == 3


def test_dedup_keeps_what_differs_in_a_key(pipe: Pipe) -> None:
    rows = [pair("List files", f"{LONG}: `ls -a`"), pair("List files", f"{LONG}: `ls -A`")]

    assert len(pipe("dedup", rows).rows) == 2
    assert pipe("dedup", rows).summary["pairs_kept_for_a_key"] == 1
    assert len(pipe("dedup", rows, "--no-keep-keys").rows) == 1


def test_dedup_keeps_one_prompt_with_two_answers_and_counts_it(pipe: Pipe) -> None:
    rows = [pair("Which lid?", "The red one, of course."), pair("Which lid?", "Take whichever you like best.")]

    done = pipe("dedup", rows)

    assert (len(done.rows), done.summary["prompts_with_several_answers"]) == (2, 1)
    assert len(pipe("dedup", rows, "--on", "prompt").rows) == 1


def test_dedup_by_threshold_and_by_field(pipe: Pipe) -> None:
    rows = [{"text": LONG, "group": "x"}, {"text": f"{LONG} and then it is washed up", "group": "y"}]

    assert len(pipe("dedup", rows).rows) == 2
    assert len(pipe("dedup", rows, "--threshold", 0.6).rows) == 1
    assert len(pipe("dedup", rows, "--threshold", 0.6, "--key-field", "group").rows) == 2


def test_dedup_is_idempotent_and_names_broken_lines(pipe: Pipe) -> None:
    rows = [pair("A b c d e?", LONG), "{broken\n", pair("A b c d e?", LONG), "[1]\n"]

    first = pipe("dedup", rows)
    again = pipe("dedup", first.rows)

    assert first.summary["dropped"] == {"exact duplicate": 1, "not an object": 1, "not valid JSON": 1}
    assert again.rows == first.rows
    assert {d["source"] for d in first.dropped} == {"-:2", "-:3", "-:4"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("use `ls -a`", "use `ls -A`"),
        ("What are the symptoms of Asthma?", "What are the symptoms of Measles?"),
        ("open port 80", "open port 8080"),
        ("read /etc/hosts", "read /etc/passwd"),
        ("run it with --force", "run it with --dry-run"),
        ('the key "left"', 'the key "right"'),
        ("edit main.py", "edit test.py"),
    ],
)
def test_keys_tell_questions_apart(one: str, other: str) -> None:
    assert keys(one) != keys(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("How do I copy it?", "how do I copy it, please"), ("Copy it. Then close.", "copy it, then close")],
)
def test_keys_do_not_see_wording(one: str, other: str) -> None:
    assert keys(one) == keys(other)


def bench(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize(
    ("row", "test"),
    [
        (pair("open THE lid quickly", "Turn."), "exact"),
        (pair("a b one two three four five six seven eight c", "Turn."), "8-gram"),
        (pair("please open the lid quickly", "Turn."), "jaccard"),
        (pair("Another thing", "turn it LEFT then right"), "answer"),
        ({"text": "Long ago: one two three four five six seven eight and so on."}, "8-gram"),
        ({"messages": [{"role": "user", "content": "Open the lid quickly!"}]}, "exact"),
    ],
)
def test_decontaminate_names_the_test_that_found_it(
    pipe: Pipe, tmp_path: Path, row: dict[str, Any], test: str
) -> None:
    file = bench(
        tmp_path / "bench.jsonl",
        {"id": "q1", "question": "Open the lid quickly", "answer": "Turn it left, then right."},
        {"id": "q2", "prompt": "zero one two three four five six seven eight nine", "references": ["x"]},
    )

    done = pipe("decontaminate", [row, pair("Clean row", "Yes.")], "--against", file)

    assert [d["reason"] for d in done.dropped] == [f"benchmark: {test}"]
    assert done.rows == [pair("Clean row", "Yes.")]
    assert done.summary["dropped"] == {f"benchmark: {test}": 1}


def test_decontaminate_does_not_take_a_short_answer_for_contact(pipe: Pipe, tmp_path: Path) -> None:
    file = bench(tmp_path / "b.jsonl", {"question": "Is it open?", "answer": "Yes."})

    assert pipe("decontaminate", [pair("Other", "Yes.")], "--against", file).dropped == []


def test_decontaminate_needs_a_benchmark_with_questions(tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    rows = bench(tmp_path / "r.jsonl", pair("A", "B"))
    empty = bench(tmp_path / "b.jsonl", {"label": 3})

    assert "--against: name the benchmark" in ta_data("decontaminate", rows).err
    assert "no question in it" in ta_data("decontaminate", rows, "--against", empty).err


PII = {
    "write to ann.lee@shop.example": [("email", "ann.lee@shop.example")],
    "card 4111 1111 1111 1111.": [("card", "4111 1111 1111 1111")],
    "order 4111 1111 1111 1112": [],
    "IBAN DE89 3704 0044 0532 0130 00 please": [("iban", "DE89 3704 0044 0532 0130 00")],
    "IBAN DE89 3704 0044 0532 0130 07": [],
    "ssn 123-45-6789": [("ssn", "123-45-6789")],
    "ssn 000-45-6789": [],
    "call +49 30 1234567 now": [("phone", "+49 30 1234567")],
    "call (212) 555-0187": [("phone", "(212) 555-0187")],
    "from 8.8.8.8 to 192.168.1.1": [("ip", "8.8.8.8")],
    "version 1.2.3.4000": [],
    "mac 3c:22:fb:00:11:22": [("mac", "3c:22:fb:00:11:22")],
    "key sk-abcdefghijklmnopqrstuvwx1234": [("api-key", "sk-abcdefghijklmnopqrstuvwx1234")],
    "AKIAIOSFODNN7EXAMPLE": [("api-key", "AKIAIOSFODNN7EXAMPLE")],
    "password: hunter2-Blue": [("password", "hunter2-Blue")],
    "password: <your password>": [],
    "postgres://joe:s3cretpw@db/x": [("url-credentials", "s3cretpw")],
    "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----": [
        ("private-key", "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----")
    ],
    "chmod 0755 and 2026-11-23 12:30": [],
}


@pytest.mark.parametrize("text", PII)
def test_personal_data_and_secrets_are_found_and_look_alikes_are_not(text: str) -> None:
    assert [(span.type, text[span.start : span.end]) for span in find_pii(text)] == PII[text]


def test_pii_masks_with_stable_placeholders_and_writes_spans(pipe: Pipe, tmp_path: Path) -> None:
    rows = [pair("a@b.example", "c@d.example and A@b.example", id="r1", source="a@b.example")]

    done = pipe("pii", rows, "--spans", tmp_path / "spans.jsonl")

    assert done.rows == [pair("<EMAIL-1>", "<EMAIL-2> and <EMAIL-1>", id="r1", source="a@b.example")]
    assert (done.summary["spans"], done.summary["rows_with"]) == ({"email": 3}, {"email": 1})
    spans = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    assert spans[0] == {"id": "r1", "field": "prompt", "type": "email", "start": 0, "end": 11}


def test_pii_actions_and_types(pipe: Pipe) -> None:
    rows = [pair("a@b.example", "8.8.8.8"), pair("x", "y")]

    assert pipe("pii", rows, "--action", "report").rows == rows
    assert pipe("pii", rows, "--action", "drop").rows == rows[1:]
    assert pipe("pii", rows, "--action", "drop").dropped[0]["reason"] == "personal data"
    assert pipe("pii", rows, "--type", "ip").rows[0] == pair("a@b.example", "<IP-1>")


def test_pii_of_an_unknown_type_is_named(ta_data: Callable[..., Any]) -> None:
    assert "'emial' is none of private-key" in ta_data("pii", "-", "--type", "emial").err


@pytest.mark.parametrize(
    ("row", "reason", "off"),
    [
        (pair("A?", ""), "answer too short", ("--min-answer-words", 0)),
        (pair("A?", "As an AI, I cannot do that."), "refusal", ("--no-refusals",)),
        (pair("A?", "broken \ufffd text"), "mojibake", ("--no-mojibake",)),
        (pair("A?", "same line again\n" * 9), "repetition", ("--no-repetition",)),
    ],
)
def test_filters_drop_with_a_reason_and_can_be_switched_off(
    pipe: Pipe, row: dict[str, Any], reason: str, off: tuple[object, ...]
) -> None:
    assert pipe("filter", [row]).summary["dropped"] == {reason: 1}
    assert pipe("filter", [row], *off).rows == [row]


def test_filters_by_length_and_language(pipe: Pipe) -> None:
    german = pair("Wie öffne ich den Deckel?", "Drehen Sie den Deckel langsam nach links, bis er sich löst.")
    rows = [
        pair("How do I open the lid of this pot?", "Turn it slowly to the left until it comes off."),
        german,
    ]

    assert pipe("filter", rows, "--language", "en").dropped[0]["reason"] == "language"
    assert pipe("filter", rows, "--min-prompt-words", 6).rows == rows[:1]
    assert pipe("filter", rows, "--max-words", 16).rows == [german]


def test_mojibake_is_mended_where_it_can_be(pipe: Pipe) -> None:
    done = pipe("filter", [pair("Größe?", "Die Größe ist fünf.".encode().decode("cp1252"))])

    assert (done.rows, done.summary["mended"]) == ([pair("Größe?", "Die Größe ist fünf.")], 1)


def test_a_summary_and_rows_can_go_to_files_and_nothing_is_left_half_written(
    tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    rows = bench(tmp_path / "r.jsonl", pair("A", "B"))

    ran = ta_data("filter", rows, "--out", tmp_path / "o.jsonl", "--summary", tmp_path / "s.json")

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert json.loads((tmp_path / "o.jsonl").read_text()) == pair("A", "B")
    assert json.loads((tmp_path / "s.json").read_text())["output"] == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["o.jsonl", "r.jsonl", "s.json"]


def test_a_reader_that_has_seen_enough_ends_the_pipe_quietly(tmp_path: Path) -> None:
    rows = bench(tmp_path / "r.jsonl", *(pair(f"Question {n}", "word " * 50) for n in range(20_000)))
    command = [sys.executable, "-m", "ta_data", "filter", str(rows), "--no-repetition"]

    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None and run.stderr is not None
    run.stdout.readline()
    run.stdout.close()
    said = run.stderr.read()
    run.stderr.close()

    assert (run.wait(), said) == (141, b"")


def test_a_folder_of_documents_can_be_cleaned_without_collecting_it_first(
    tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.html").write_text("<p>Mail a@b.example</p>")

    ta_data("pii", tmp_path / "in", "--out", tmp_path / "o.jsonl")

    assert json.loads((tmp_path / "o.jsonl").read_text())["text"] == "Mail <EMAIL-1>"
