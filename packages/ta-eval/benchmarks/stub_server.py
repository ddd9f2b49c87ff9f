"""A chat-completions server that answers after 20 ms, and fails as often as it is told.

python stub_server.py [SHARE_OF_429] [SHARE_OF_BROKEN_JSON]     prints its port
"""

import asyncio
import json
import random
import sys

DELAY_S = 0.02
BUSY = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
BROKEN = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
DICE = random.Random(0)


def response(body: bytes) -> bytes:
    """A whole HTTP response to a request's body."""
    luck = DICE.random()
    if luck < BUSY:
        return head(429, b'{"error": {"message": "slow down"}}', "retry-after: 0.1\r\n")
    question = json.loads(body)["messages"][-1]["content"]
    if not isinstance(question, str):
        question = question[0]["text"]
    usage = {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13}
    message = {"role": "assistant", "content": question.split()[-1]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"id": "x", "object": "chat.completion", "created": 0, "model": "stub", "choices": [choice]}
    text = json.dumps({**answer, "usage": usage}).encode()
    return head(200, text[:40] if luck < BUSY + BROKEN else text)


def head(status: int, body: bytes, more: str = "") -> bytes:
    """Status line, headers, body."""
    fields = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n{more}"
    return f"HTTP/1.1 {status} X\r\n{fields}\r\n".encode() + body


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests on one connection until it closes."""
    try:
        while True:
            fields = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(fields.split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            await asyncio.sleep(DELAY_S)
            writer.write(response(body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, IndexError):
        writer.close()


async def main() -> None:
    """Listen on a free port until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
