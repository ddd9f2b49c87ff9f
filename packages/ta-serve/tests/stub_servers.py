"""Small real HTTP servers that answer as OpenAI's and Ollama's do, from a script."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECES = ["Use ", "ls", " -a", " für €."]


class Stub(BaseHTTPRequestHandler):
    """`server.asked` holds the bodies; `server.fault` names what goes wrong."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, content, status=200):
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, lines):
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for line in lines:
                data = line.encode()
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()
                if self.server.fault == "slow":
                    time.sleep(0.05)
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.server.left.set()

    def pieces(self):
        return PIECES * 100 if self.server.fault == "slow" else PIECES

    def do_GET(self):
        if self.server.fault == "key" and self.headers["authorization"] != "Bearer right":
            self.reply({"error": {"message": "who?"}}, 401)
        elif self.path == "/v1/models":
            self.reply({"data": [{"id": "small"}, {"id": "large"}]})
        elif self.path == "/api/tags":
            self.reply({"models": [{"name": "small:latest"}]})
        else:
            self.reply({"hello": 1})

    def do_POST(self):
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        fault = self.server.fault
        if isinstance(fault, int):
            self.reply({"error": {"message": f"fault {fault}", "code": self.server.code}}, fault)
        elif self.path.startswith("/v1"):
            self.stream(self.openai(chat=self.path.endswith("chat/completions")))
        else:
            self.stream(self.ollama(chat=self.path.endswith("chat")))

    def openai(self, *, chat):
        yield ": a comment\n\n"
        for piece in self.pieces():
            choice = {"delta": {"content": piece}} if chat else {"text": piece}
            yield f"data: {json.dumps({'choices': [choice]})}\n\n"
            if self.server.fault == "midway":
                yield 'data: {"error": {"message": "out of luck"}}\n\n'
                return
            if self.server.fault == "cut":
                return
        yield f"data: {json.dumps({'choices': [{'delta': {}, 'finish_reason': 'length'}]})}\n\n"
        usage = {"prompt_tokens": 7, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
        yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
        yield "data: [DONE]\n\n"

    def ollama(self, *, chat):
        for piece in self.pieces():
            yield json.dumps({"message": {"content": piece}} if chat else {"response": piece}) + "\n"
            if self.server.fault == "midway":
                yield '{"error": "out of luck"}\n'
                return
            if self.server.fault == "cut":
                return
        yield '{"done": true, "done_reason": "length", "prompt_eval_count": 7, "eval_count": 4}\n'


@contextmanager
def stub_server():
    """A server on a free port of the loopback interface."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    server.asked, server.fault, server.code, server.left = [], None, None, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
