"""A client of ASGI applications that run in this process."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

Message = MutableMapping[str, Any]


class Answer(NamedTuple):
    """What an application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def replayed(self) -> bool:
        """Whether it comes from a record."""
        return self.headers.get("idempotency-replayed") == "true"


async def ask(
    app: Any,
    target: str,
    *,
    body: bytes = b"",
    key: str | None = None,
    headers: dict[str, str] | None = None,
    on_part: Callable[[bytes], object] = bytes,
) -> Answer:
    """Return the answer to a request such as ``POST /chat``, by a client that stays to the end."""
    method, path = target.split(" ")
    fields = (headers or {}) | ({} if key is None else {"idempotency-key": key})
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    inbox.put_nowait({"type": "http.request", "body": body, "more_body": False})
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        on_part(message.get("body", b""))

    await app(_scope(method, path, fields), inbox.get, send)
    start, *parts = sent
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], answered, b"".join(part.get("body", b"") for part in parts))


def _scope(method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
