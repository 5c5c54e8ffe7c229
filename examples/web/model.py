"""What all apps share: the model behind them, the bill, and where answers are recorded."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from idemkit import Idempotency

__all__ = ["answer", "idem"]

idem = Idempotency(os.environ.get("IDEMKIT_STORE", "sqlite:///web.db"))


def answer(prompt: str) -> Iterator[bytes]:
    """Ask the model; yield its tokens as server-sent events, and write the bill in the end."""
    tokens = 0
    for token in filter(None, ask(prompt)):
        tokens += 1
        yield f"data: {json.dumps({'token': token})}\n\n".encode()
    yield b"data: [DONE]\n\n"
    with Path(os.environ.get("BILL", "bill.log")).open("a", encoding="utf-8") as bill:
        bill.write(f"{tokens} tokens\n")


def ask(prompt: str) -> Iterator[str]:
    """Ask the model, and yield its answer token by token; it is another one every time."""
    server = urlsplit(os.environ.get("MODEL_URL", "http://127.0.0.1:8123/v1"))
    messages = [{"role": "user", "content": prompt}]
    body = {"model": "stdlib-ngram", "messages": messages, "stream": True, "min_tokens": 40}
    headers = {"Content-Type": "application/json"}
    with closing(HTTPConnection(server.netloc, timeout=60)) as connection:
        connection.request("POST", f"{server.path}/chat/completions", json.dumps(body), headers)
        for line in connection.getresponse():
            if line.startswith(b"data: {"):
                event = json.loads(line.removeprefix(b"data: "))
                yield event["choices"][0]["delta"].get("content", "")
