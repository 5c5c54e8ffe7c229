"""A client that the tests of the local model share: it asks, and takes replies apart."""

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from examples.local_llm import MODEL_NAME, LocalLLM

CHAT = "/v1/chat/completions"


def address(llm: LocalLLM) -> tuple[str, int]:
    """Return where the server listens."""
    host, _, port = llm.url.removeprefix("http://").partition(":")
    return host, int(port)


def connect(llm: LocalLLM) -> closing[http.client.HTTPConnection]:
    """Return a connection that a `with` block closes."""
    return closing(http.client.HTTPConnection(*address(llm), timeout=20))


def call(
    llm: LocalLLM,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    """Make one request on a connection of its own."""
    with connect(llm) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response, response.read()


def question(prompt: str = "Return the file", /, **members: object) -> bytes:
    """Return the body of a chat request."""
    messages = [{"role": "user", "content": prompt}]
    return json.dumps({"model": MODEL_NAME, "messages": messages, **members}).encode()


def ask(llm: LocalLLM, prompt: str = "Return the file", /, **members: object) -> Any:
    """Return the parsed reply to a chat request that must succeed."""
    response, body = call(llm, "POST", CHAT, question(prompt, **members))
    assert (200, "application/json") == (response.status, response.headers["Content-Type"])
    return json.loads(body)


def content(reply: Any, choice: int = 0) -> str:
    """Return the text of a reply."""
    text: str = reply["choices"][choice]["message"]["content"]
    return text


def stream(llm: LocalLLM, prompt: str = "Return the file", /, **members: object) -> list[Any]:
    """Return the parsed chunks of a streamed reply, whose last event must be the end mark."""
    _, body = call(llm, "POST", CHAT, question(prompt, stream=True, **members))
    *events, end, rest = body.decode().split("\n\n")
    assert ("data: [DONE]", "") == (end, rest)
    return [json.loads(event.removeprefix("data: ")) for event in events]


def streamed_content(chunks: Sequence[Any], choice: int = 0) -> str:
    """Return the text of a streamed reply."""
    choices = [each for chunk in chunks for each in chunk["choices"] if each["index"] == choice]
    return "".join(each["delta"].get("content", "") for each in choices)


def error(body: bytes) -> Any:
    """Return the error object of a refusal."""
    return json.loads(body)["error"]


def raw(llm: LocalLLM, request: bytes) -> bytes:
    """Send bytes that no HTTP client would send, and return all that comes back."""
    with socket.create_connection(address(llm), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def sse_events(body: bytes) -> list[tuple[str, Any]]:
    """Return the names and the parsed data of the events of a stream."""
    events: list[tuple[str, Any]] = []
    for event in body.decode().split("\n\n")[:-1]:
        name, _, data = event.removeprefix("event: ").partition("\ndata: ")
        events.append((name, json.loads(data)))
    return events
