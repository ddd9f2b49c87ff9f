"""A messy folder: every file is ok, skipped or an error with a reason, and one bad file never ends a run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ta_data.checks import Bad
from ta_data.collect.folder import Account, Source, read_sources
from ta_data.collect.outcome import Limits
from ta_schemas.artifact import Artifact
from ta_schemas.rows import ConversationRow, DocumentRow


@pytest.fixture(scope="module")
def folder(messy_folder: Path) -> Path:
    return messy_folder


@pytest.fixture(scope="module")
def collected(folder: Path) -> tuple[list[DocumentRow | ConversationRow | Bad], Account]:
    account = Account()
    return list(read_sources([Source(folder, license="MIT")], Limits(), account)), account


def one(folder: Path, *, limits: Limits | None = None, **source: Any) -> tuple[list[Any], Account]:
    account = Account()
    return list(read_sources([Source(folder, **source)], limits or Limits(), account)), account


def texts(collected: tuple[list[Any], Account], name: str) -> list[str]:
    rows = [
        row
        for row in collected[0]
        if not isinstance(row, Bad)
        and row.source.startswith(name)
        and row.source[len(name) :][:1] in ("", ":", "#")
    ]
    return [
        row.text if isinstance(row, DocumentRow) else " | ".join(m.content for m in row.messages)
        for row in rows
    ]


GOOD = {
    "good/page.html": ["# Lids\n\nTurn left.\n\n- one\n- two\n\n```\nlid  -f\n```"],
    "good/guide.md": ["# Guide\n\nText.\n\n```html\n<!-- shown -->\n```"],
    "bad/same.txt": ["plain words"],
    "good/bom.txt": ["with a mark"],
    "good/utf16.txt": ["sixteen bits"],
    "good/latin.txt": ["Käse über Größe, süße Früchte für Jürgen: schöne Grüße aus Köln"],
    "good/sjis.txt": ["これは日本語の文章です。蓋の開け方について説明します。" * 4],
    "good/one.pdf": ["Lids turn left"],
    "good/doc.docx": ["Lids close to the right."],
    "good/faq.xlsx": ["Color? | Red."],
    "good/old.xls": ["Which wax? | Bees wax."],
    "good/faq.csv": ['How? | Like "this"; so.'],
    "good/stock.tsv": ["part: lid\ncount: 7"],
    "good/chat.jsonl": ["Ping? | Pong.", "S? | T."],
    "good/chat.json": ["I? | O."],
    "good/export.json": ["U? | A."],
    "good/transcript.jsonl": ["X? | Y."],
    "good/Posts.xml": ["Red or white?\n\nWith fish? | White, says `chef`."],
    "good/inbox.mbox": [
        "Broken lid\n\nThe lid broke. | We send a new one.",
        "Opening hours\n\nWhen do you open?",
    ],
    "good/one.eml": ["Thanks\n\nIt works now."],
    "good/folder.zip!/in/side.md": ["Inside."],
    "good/folder.zip!/in/two.zip!/x.txt": ["deep"],
    "bad/quote.csv": ["How? | So."],
    "bad/deep.html": ["bottom"],
    "bad/long.jsonl": ["Ping? | Pong."],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_file_is_read_as_a_person_would_see_it(collected: Any, name: str) -> None:
    assert texts(collected, name) == GOOD[name]


def test_a_manual_page_keeps_headings_and_options(collected: Any) -> None:
    (text,) = texts(collected, "good/lid.1")

    assert "NAME" in text and "lid - opens the lid" in text and "-f" in text and "Force it." in text
    assert "\\f" not in text and "remark" not in text


OUTCOMES = {
    "bad/binary.md": ("skipped", "binary content under a text file's name"),
    "bad/noise.txt": ("skipped", "binary content under a text file's name"),
    "bad/locked.pdf": ("skipped", "encrypted"),
    "bad/cut.pdf": ("error", "not a valid PDF: truncated or damaged"),
    "bad/scan.pdf": ("skipped", "no text in any page: scanned, needs OCR first"),
    "bad/cut.docx": ("error", "not a valid DOCX: truncated or damaged (BadZipFile)"),
    "bad/bomb.zip": ("error", "zip bomb: grows more than 100-fold"),
    "bad/lying.zip!/big.txt": ("error", "damaged member of a zip file"),
    "bad/nested.zip!/a.zip!/b.zip": ("skipped", "archives within archives deeper than 2"),
    "bad/laughs.xml": ("error", "not valid XML, or hostile (EntitiesForbidden)"),
    "bad/empty.md": ("skipped", "empty"),
    "bad/same.txt": ("ok", ""),
    "good/notes.txt": ("skipped", "same content as bad/same.txt"),
    "bad/photo.jpg": ("skipped", "no reader for .jpg"),
    "bad/loop": ("skipped", "a link: not followed"),
    "bad/link.txt": ("skipped", "a link: not followed"),
    "good/folder.zip!/in/pic.png": ("skipped", "no reader for .png"),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_file_that_gives_nothing_says_why(collected: Any, name: str) -> None:
    (file,) = [file for file in collected[1].files if file["path"] == name]

    assert (file["status"], file["reason"]) == OUTCOMES[name]


BAD_ROWS = {
    ("good/chat.jsonl:2", "not valid JSON"),
    ("good/chat.jsonl:4", "not an object"),
    ("good/faq.xlsx#sheet=Secret", "hidden sheet"),
    ("good/Posts.xml#post=4", "question without answer"),
    ("bad/scan.pdf#page=1", "page without text"),
    ("bad/quote.csv:2", "quote or delimiter does not fit"),
    ("bad/long.jsonl:1", "line too long"),
    ("bad/deep.jsonl:1", "not valid JSON"),
}


def test_every_row_left_out_has_its_place_and_reason(collected: Any) -> None:
    assert {(row.where, row.reason) for row in collected[0] if isinstance(row, Bad)} == BAD_ROWS


def test_nothing_hidden_becomes_text(collected: Any) -> None:
    everything = " ".join(str(row) for row in collected[0] if not isinstance(row, Bad))

    for word in ("IGNORE", "steal", "secret", "hidden", "\u200b", "ann@home.example"):
        assert word not in everything


def test_the_counts_add_up(collected: Any) -> None:
    rows, account = collected
    summary = account.summary()

    assert summary["files"]["found"] == sum(n for status, n in summary["files"].items() if status != "found")
    assert sum(summary["rows"].values()) == sum(not isinstance(row, Bad) for row in rows)
    assert sum(file["rows"] for file in account.files) == sum(summary["rows"].values())
    assert sum(summary["rows_left_out"].values()) == len(BAD_ROWS)


def test_every_row_knows_its_source_span_and_license(collected: Any) -> None:
    rows = {row.id: row for row in collected[0] if not isinstance(row, Bad)}

    assert (rows["good/guide.md:4"].license, rows["good/guide.md:4"].span) == ("CC0-1.0", [4, 10])
    assert rows["good/Posts.xml#post=1"].license == "CC-BY-SA-4.0"
    assert rows["good/one.pdf#page=1"].extra["page"] == 1
    assert rows["good/faq.csv:2"].license == "MIT"


def test_the_mapping_of_columns_is_reported(collected: Any) -> None:
    mapping = collected[1].summary()["columns"]["good/faq.csv"]

    assert mapping == {"prompt": "Question", "answer": "Answer"}


def test_the_mapping_is_shown_before_it_is_used(tmp_path: Path, ta_data: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("Subject,Text,Answer\nWie?,So.,Ja.\n")
    (tmp_path / "u.csv").write_text("a,b\n1,2\n")
    (tmp_path / "x.bin").write_text("1")

    shown = ta_data("collect", tmp_path, "--show-mapping").out.splitlines()
    other = ta_data("collect", tmp_path, "--show-mapping", "--column", "prompt=Text").out.splitlines()

    assert shown[:4] == [
        "t.csv: csv, 1 rows",
        "  prompt   <- Subject",
        "  answer   <- Answer",
        "  not used: Text",
    ]
    assert shown[4:6] == ["  user: Wie?", "  assistant: Ja."]
    assert "--column prompt=NAME --column answer=NAME says which" in "\n".join(shown)
    assert shown[-1] == "x.bin: skipped: no reader for .bin"
    assert other[1] == "  prompt   <- Text"


def test_items_of_a_list_have_a_place_each_and_keep_their_origin(tmp_path: Path) -> None:
    items = [{"question": f"{n}?", "answer": "Yes.", "source": "wiki"} for n in range(3)]
    (tmp_path / "a.json").write_text(json.dumps(items))

    rows, _ = one(tmp_path)

    assert [row.source for row in rows] == ["a.json#item=0", "a.json#item=1", "a.json#item=2"]
    assert {row.id for row in rows} == {row.source for row in rows}
    assert rows[0].extra == {}


def test_columns_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Betreff,Text\nWie?,So.\n")

    (row,), _ = one(tmp_path, columns={"prompt": "Betreff", "answer": "Text"})

    assert [m.content for m in row.messages] == ["Wie?", "So."]


def test_a_reader_that_hangs_is_ended_and_the_next_file_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text("fine")
    # Long runs of one character before a mismatch: the expression for elements takes quadratic time.
    (tmp_path / "slow.md").write_text("<a>" * 400_000)

    rows, account = one(tmp_path, limits=Limits(silent_s=1.0))

    assert [row.text for row in rows if isinstance(row, DocumentRow)] == ["fine"]
    assert [file["reason"] for file in account.files] == ["not a regular file", "", "no row within 1 s"]


def test_a_reader_that_grows_is_ended_and_the_next_file_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" + "{}," * 6_000_000 + "{}]")
    (tmp_path / "b.txt").write_text("fine")

    rows, account = one(tmp_path, limits=Limits(memory_mb=200))

    assert [row.text for row in rows if isinstance(row, DocumentRow)] == ["fine"]
    assert account.files[0]["reason"] == "too large or nested too deep (MemoryError)"


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * (2**20 + 1))

    assert one(tmp_path, limits=Limits(file_mb=1))[1].files[0]["reason"] == "larger than 1 MiB"


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path, messy: Any) -> None:
    (tmp_path / "a.zip").write_bytes(messy.zipped({f"{n}.txt": "x" for n in range(11)}))

    assert one(tmp_path, limits=Limits(members=10))[1].files[0]["reason"] == "zip bomb: more than 10 members"


def test_the_corpus_is_sealed_and_the_same_every_time(
    folder: Path, tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    small = tmp_path / "in"
    small.mkdir()
    for name in ("faq.csv", "page.html", "one.pdf"):
        (small / name).write_bytes((folder / "good" / name).read_bytes())

    first = ta_data("collect", small, "--out", tmp_path / "a", "--license", "MIT")
    second = ta_data("collect", small, "--out", tmp_path / "b", "--license", "MIT")

    corpus = Artifact.open(tmp_path / "a", kind="corpus")
    assert (first.code, first.out) == (0, "")
    assert json.loads(first.err)["digest"] == corpus.digest == json.loads(second.err)["digest"]
    assert len(corpus.file("documents.jsonl").read_text().splitlines()) == 2
    assert len(corpus.file("conversations.jsonl").read_text().splitlines()) == 1
    assert len(corpus.file("files.jsonl").read_text().splitlines()) == 3


def test_without_out_rows_stand_on_stdout_and_the_summary_on_stderr(
    tmp_path: Path, messy: Any, capfdbinary: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ta_data.cli import main

    (tmp_path / "a.jsonl").write_text(json.dumps(messy.CHAT))
    monkeypatch.setattr("sys.argv", ["ta-data", "collect", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    out, err = capfdbinary.readouterr()

    assert json.loads(out)["messages"] == messy.CHAT["messages"]
    assert json.loads(err)["rows"] == {"conversations": 1}


def test_the_sources_of_a_domain_bring_their_license_and_columns(
    tmp_path: Path, ta_data: Callable[..., Any]
) -> None:
    (tmp_path / "domain.yaml").write_text(
        "name: x\nsources:\n  - {path: t.csv, license: CC0-1.0, columns: {prompt: B, answer: T}}\n"
        "  - {path: docs}\n"
    )
    (tmp_path / "t.csv").write_text("B,T\nWie?,So.\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("Text.")

    ran = ta_data("collect", tmp_path, "--out", tmp_path / "out")

    corpus = Artifact.open(tmp_path / "out", kind="corpus")
    assert json.loads(ran.err)["rows"] == {"conversations": 1, "documents": 1}
    assert json.loads(corpus.file("conversations.jsonl").read_text())["license"] == "CC0-1.0"
    assert json.loads(corpus.file("documents.jsonl").read_text())["source"] == "docs/a.md"


def test_ctrl_c_ends_the_reading_process_too_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "slow.md").write_text("<a>" * 400_000)
    command = [sys.executable, "-m", "ta_data", "collect", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    # A shell's background jobs ignore Ctrl-C and hand that on; a person's command does not.
    run = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    if not children.exists():
        run.kill()
        run.wait()
        pytest.skip("needs /proc with the children of a process (Linux)")
    deadline = time.monotonic() + 30
    while not children.read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.05)
    child = int(children.read_text())
    time.sleep(0.3)

    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=30)

    assert (run.returncode, err) == (130, "error: stopped by Ctrl-C; run the same command again to go on\n")
    assert not Path(f"/proc/{child}").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["in"]
