"""Voting in a browser: one page on this machine, nothing loaded from elsewhere, no script from a model runs."""

import secrets
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from ta_eval.ab.bundle import Bundle
from ta_eval.ab.votes import CHOICES, add_vote, check_rater, next_pair, read_votes
from ta_schemas import InputError, SetupError

MAX_BODY_BYTES = 4096


def vote_server(bundle: Bundle, port: int) -> ThreadingHTTPServer:
    """A server on 127.0.0.1 (port 0: a free one), not yet serving. SetupError where the port is taken."""
    handler = type("Handler", (_Handler,), {"bundle": bundle})
    try:
        return _Server(("127.0.0.1", port), handler)
    except OSError as error:
        raise SetupError(f"port {port}: {error.strerror}: name another --port") from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    bundle: Bundle
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_: Any) -> None:
        """The votes are the log."""

    def do_GET(self) -> None:
        if not self._is_ours():
            return self._refuse(HTTPStatus.FORBIDDEN, "open the page by the address that ta-eval printed")
        url = urlsplit(self.path)
        if url.path != "/":
            return self._refuse(HTTPStatus.NOT_FOUND, "there is only one page: /")
        rater = parse_qs(url.query).get("rater", [""])[0].strip()
        if rater:
            try:
                check_rater(rater)
            except InputError as error:
                return self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        return self._show(rater)

    def do_POST(self) -> None:
        """A vote; the answer leads to the next pair, so that reloading does not vote twice."""
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a vote is a few words")
        form = {name: values[0] for name, values in parse_qs(self.rfile.read(int(length)).decode()).items()}
        if not self._is_ours():
            return self._refuse(HTTPStatus.FORBIDDEN, "votes are taken from this page only")
        pair, rater, choice = (form.get(name, "") for name in ("pair", "rater", "choice"))
        if pair not in self.bundle.pairs or choice not in CHOICES:
            return self._refuse(HTTPStatus.BAD_REQUEST, "no such pair or choice")
        try:
            seconds = min(3600.0, max(0.0, time.time() - float(form.get("shown", ""))))
            add_vote(self.bundle.path, pair, rater, choice, seconds=seconds)
        except (InputError, ValueError) as error:
            return self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("location", f"/?rater={quote(rater)}")
        self.send_header("content-length", "0")
        self.end_headers()
        return None

    def _is_ours(self) -> bool:
        """Refuse other sites' pages: a foreign Origin, or a foreign name that leads to this machine."""
        port = self.connection.getsockname()[1]
        ours = {f"127.0.0.1:{port}", f"localhost:{port}"}
        origin = self.headers.get("origin")
        return self.headers.get("host", "") in ours and (origin is None or urlsplit(origin).netloc in ours)

    def _show(self, rater: str) -> None:
        import jinja2

        votes = read_votes(self.bundle.path)
        nonce = secrets.token_urlsafe(16)
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("ta_eval", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )
        page = environment.get_template("vote.html.j2").render(
            title=self.bundle.title,
            rater=rater,
            pair=next_pair(self.bundle, votes, rater) if rater else None,
            given=sum(vote.rater == rater for vote in votes),
            shown=f"{time.time():.3f}",
            nonce=nonce,
        )
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        self._send(HTTPStatus.OK, page, policy + "form-action 'self'; frame-ancestors 'none'; base-uri 'none'")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(status, why, "default-src 'none'", kind="text/plain")

    def _send(self, status: HTTPStatus, text: str, policy: str, kind: str = "text/html") -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (
            ("content-type", f"{kind}; charset=utf-8"),
            ("content-length", str(len(body))),
            ("content-security-policy", policy),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
