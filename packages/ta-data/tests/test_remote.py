"""URLs and hub datasets as sources, against a real server on loopback; offline is one clear line."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ta_data.collect.folder import Account, read_sources, sources_of
from ta_data.collect.outcome import Limits
from ta_data.collect.remote import fetch, shown
from ta_schemas.errors import InputError

Run = Callable[..., Any]
FAQ = b"Question,Answer\nHow?,Like so.\n"
PAGES: dict[str, tuple[str, bytes]] = {
    "/faq.csv": ("application/octet-stream", FAQ),
    "/download": ("text/csv; charset=utf-8", FAQ),
    "/page": ("text/html", b"<h1>Lids</h1><p>Turn <b>left</b>.</p>"),
    "/film": ("video/mp4", b"x"),
    "/large.txt": ("text/plain", b"x" * (2**20 + 1)),
}
MOVED = {"/old.csv": "/faq.csv", "/away": "file:///etc/passwd", "/round": "/round"}


class Pages(BaseHTTPRequestHandler):
    """What stands above, and a page that never ends."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in MOVED:
            self.send_response(302)
            self.send_header("Location", MOVED[path])
            self.end_headers()
        elif path == "/slow.txt":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"drop\n")
                self.wfile.flush()
                time.sleep(0.05)
        elif path in PAGES:
            kind, content = PAGES[path]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content)
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that has seen enough hangs up."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = Server(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()
    thread.join()


def rows_of(url: str, limits: Limits | None = None) -> list[Any]:
    return list(read_sources(sources_of(url, license="MIT"), limits or Limits(), Account()))


@pytest.mark.parametrize("path", ["/faq.csv", "/download", "/old.csv", "/faq.csv?key=secret"])
def test_a_table_behind_an_address_becomes_conversations(server: str, path: str) -> None:
    (row,) = rows_of(server + path)

    assert [message.content for message in row.messages] == ["How?", "Like so."]
    assert (row.source, row.license) == (f"{server}{path.partition('?')[0]}:2", "MIT")


def test_a_page_is_known_by_its_content_type(server: str) -> None:
    (row,) = rows_of(f"{server}/page")

    assert row.text == "# Lids\n\nTurn left."


def test_a_domain_may_name_an_address(server: str, tmp_path: Path, ta_data: Run) -> None:
    (tmp_path / "domain.yaml").write_text(f"name: x\nsources:\n  - path: {server}/faq.csv\n  - path: docs\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\n\n## Is it here?\n\nYes, it is here.\n")

    ran = ta_data("build", tmp_path, "--out", tmp_path / "out", "--json")

    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["funnel"] == {"input": 2, "drops": {}, "output": 2}
    inputs = json.loads((tmp_path / "out" / "manifest.json").read_text())["config"]["inputs"]
    assert [entry["path"] for entry in inputs] == [f"{server}/faq.csv", "docs/a.md"]


def test_prepare_says_that_it_reads_files_alone(tmp_path: Path, ta_data: Run) -> None:
    (tmp_path / "domain.yaml").write_text("name: x\nsources:\n  - path: https://host.example/faq.csv\n")

    ran = ta_data("prepare", tmp_path, "--out", tmp_path / "out")

    assert (ran.code, "https://host.example/faq.csv: prepare reads files alone" in ran.err) == (3, True)


WRONG = {
    "/nothing": "HTTP 404: check the address",
    "/away": "leads to an address that is neither http nor https: refused",
    "/round": "cannot be reached (TooManyRedirects)",
    "/film": "content type 'video/mp4': no reader for it",
}


@pytest.mark.parametrize("path", WRONG)
def test_what_cannot_be_had_is_one_line(server: str, path: str, ta_data: Run) -> None:
    ran = ta_data("collect", server + path)

    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"error: {server}{path}: {WRONG[path]}")
    assert ran.err.count("\n") == 1


def test_size_and_time_are_limited(server: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger than 1 MiB: download it by hand"):
        fetch(f"{server}/large.txt", tmp_path, Limits(download_mb=1))
    with pytest.raises(InputError, match=r"not done after 0\.2 s: download it by hand"):
        fetch(f"{server}/slow.txt", tmp_path, Limits(download_s=0.2))


def test_without_a_network_it_says_so_in_one_line(ta_data: Run) -> None:
    ran = ta_data("collect", "http://127.0.0.1:1/faq.csv")

    assert (
        ran.err == "error: http://127.0.0.1:1/faq.csv: cannot be reached (ConnectError): is there a network?\n"
    )


def test_a_password_in_an_address_does_not_become_a_source() -> None:
    assert shown("https://ann:secret@host.example/a.csv?token=1#x") == "https://host.example/a.csv"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    pytest.importorskip("datasets", reason="needs ta-data[hub]")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    folder = tmp_path / "dataset"
    folder.mkdir()
    return folder


def test_a_dataset_becomes_a_file_a_split(hub: Path) -> None:
    import datasets

    for split in ("train", "test"):
        table = datasets.Dataset.from_list([{"question": f"{split} {n}?", "answer": "Yes."} for n in range(2)])
        table.to_parquet(hub / f"{split}.parquet")

    rows = rows_of(f"hf://datasets/{hub}")

    assert [row.messages[0].content for row in rows] == ["train 0?", "train 1?", "test 0?", "test 1?"]
    assert rows[0].source == f"hf://datasets/{hub}/train.jsonl:1"


def test_a_dataset_over_the_limit_is_refused(hub: Path, tmp_path: Path) -> None:
    (hub / "train.jsonl").write_text(json.dumps({"text": "x" * 2**20}) + "\n")

    with pytest.raises(InputError, match="larger than 1 MiB: save it as files"):
        fetch(f"hf://datasets/{hub}", tmp_path, Limits(download_mb=1))


def test_the_hub_without_a_network_is_one_line(hub: Path, ta_data: Run) -> None:
    ran = ta_data("collect", "hf://datasets/nobody/nothing")

    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert ran.err.startswith("error: hf://datasets/nobody/nothing: cannot be read: ")


def test_without_the_extra_the_hub_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, ta_data: Run) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)

    ran = ta_data("collect", "hf://datasets/a/b")

    assert (ran.code, ran.err) == (5, "error: datasets is not installed: install ta-data[hub]\n")
