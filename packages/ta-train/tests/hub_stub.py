"""A Hugging Face Hub of one process: as much of its HTTP interface as huggingface_hub asks for here.

It keeps every file in a commit as it came (the real hub moves large ones to LFS or Xet storage; that path is
huggingface_hub's own and is not exercised).
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class HubStub:
    """Repositories, each a list of commits, each a dict of files."""

    def __init__(self) -> None:
        self.private: dict[str, bool] = {}
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.refuse_uploads = False
        self.url = ""

    def files(self, repository: str, revision: str = "main") -> dict[str, bytes] | None:
        commits = self.commits[repository]
        if revision == "main":
            return commits[-1]
        shas = [sha(at) for at in range(len(commits))]
        return commits[shas.index(revision)] if revision in shas else None


def sha(at: int) -> str:
    return f"{at:040x}"


@contextmanager
def running_hub() -> Iterator[HubStub]:
    hub = HubStub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = unquote(urlsplit(self.path).path).strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                self._about("/".join(parts[2:4]), *parts[4:])
            elif parts[2:3] == ["resolve"]:
                self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
            else:
                self._missing("EntryNotFound")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            parts = unquote(urlsplit(self.path).path).strip("/").split("/")
            if hub.refuse_uploads:
                self._json({"error": "no write access"}, status=403)
            elif parts == ["api", "repos", "create"]:
                asked = json.loads(body)
                repository = "/".join(filter(None, (asked.get("organization"), asked["name"])))
                hub.private.setdefault(repository, asked.get("visibility") == "private")
                hub.commits.setdefault(repository, [{".gitattributes": b""}])
                self._json({"url": f"{hub.url}/{repository}"})
            elif parts[4] == "preupload":
                files = [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
                self._json({"files": files})
            elif parts[4] == "commit":
                self._commit("/".join(parts[2:4]), [json.loads(line) for line in body.splitlines()])

        def _commit(self, repository: str, lines: list[dict[str, Any]]) -> None:
            files = dict(hub.commits[repository][-1])
            for line in lines:
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    del files[line["value"]["path"]]
            hub.commits[repository].append(files)
            oid = sha(len(hub.commits[repository]) - 1)
            self._json({"commitOid": oid, "commitUrl": f"{hub.url}/{repository}/commit/{oid}"})

        def _about(self, repository: str, what: str = "revision", revision: str = "main", *_: str) -> None:
            if repository not in hub.commits:
                self._missing("RepoNotFound")
                return
            files = hub.files(repository, revision)
            if files is None:
                self._missing("RevisionNotFound")
            elif what == "tree":
                self._json(
                    [{"type": "file", "path": n, "size": len(c), "oid": _oid(c)} for n, c in files.items()]
                )
            else:
                at = sha(len(hub.commits[repository]) - 1) if revision == "main" else revision
                siblings = [{"rfilename": name} for name in files]
                self._json({"id": repository, "sha": at, "siblings": siblings, "private": True, "tags": []})

        def _file(self, repository: str, revision: str, name: str) -> None:
            files = hub.files(repository, revision) or {}
            if name not in files:
                self._missing("EntryNotFound")
                return
            self._send(files[name], {"ETag": f'"{_oid(files[name])}"', "X-Repo-Commit": revision})

        def _json(self, value: Any, *, status: int = 200) -> None:
            self._send(json.dumps(value).encode(), {"Content-Type": "application/json"}, status=status)

        def _missing(self, code: str) -> None:
            self._send(b"", {"X-Error-Code": code}, status=404)

        def _send(self, body: bytes, headers: dict[str, str], *, status: int = 200) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
