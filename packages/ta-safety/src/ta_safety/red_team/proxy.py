"""A guarded copy of a server on loopback, so that outside scanners can attack both."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ta_safety.guard import Guard
from ta_safety.red_team.target import Answer
from ta_schemas.errors import UserError


@contextmanager
def guarded(answer: Answer, guard: Guard) -> Iterator[str]:
    """Yields a base URL that answers chat completions through the guard, on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                reply = guard.chat(answer, body["messages"])
            except (ValueError, KeyError, TypeError) as error:
                self._send(400, {"error": {"message": f"not a chat request: {error}"}})
                return
            except UserError as error:
                self._send(502, {"error": {"message": str(error)}})
                return
            message = {"role": "assistant", "content": reply.text}
            choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
            usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
            head = {"id": "guarded", "object": "chat.completion", "created": 0, "model": body.get("model", "")}
            self._send(200, {**head, "choices": [choice], "usage": usage})

        def _send(self, status: int, content: dict[str, object]) -> None:
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a scanner sends thousands."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
