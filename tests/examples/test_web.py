"""The chat in each framework, on a server that its first lines name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.local_llm import LocalLLM
from tests.conformance.servers import COMMANDS, serving
from tests.conformance.wire import Exchange, request_bytes
from tests.servers import free_port

SERVERS = {
    "starlette": "uvicorn",
    "fastapi": "uvicorn",
    "litestar": "granian",
    "quart": "hypercorn",
    "flask": "gunicorn",
    "django": "waitress",
}
QUESTION = request_bytes(
    "POST",
    "/chat",
    b'{"prompt": "What is a codec?"}',
    [("Host", "localhost"), ("Content-Type", "application/json"), ("Idempotency-Key", "first")],
)
TOKEN = b'{"token": '
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Chat:
    """An app that runs, and the model behind it.

    Args:
        port: Where the app listens.
        bill: What it has written down.
    """

    port: int
    model: LocalLLM
    bill: Path

    def ask(self) -> Exchange:
        """Send the question, always under one key."""
        return Exchange(self.port, QUESTION)


@pytest.fixture(params=list(SERVERS))
def chat(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chat]:
    """Run an app beside a model."""
    app, port = f"examples.web.with_{request.param}:app", free_port()
    command = COMMANDS[SERVERS[request.param]].format(app=app, port=port, workers=1, threads=8)
    with LocalLLM() as model:
        variables = {
            "MODEL_URL": model.base_url,
            "IDEMKIT_STORE": f"sqlite:///{tmp_path / 'records.db'}",
            "BILL": str(tmp_path / "bill"),
        }
        with serving(command, tmp_path, port, variables):
            yield Chat(port, model, tmp_path / "bill")


def test_retry_costs_nothing(chat: Chat) -> None:
    """The second answer is the first one, to the byte, and neither sampled nor billed."""
    first, again = chat.ask().rest(), chat.ask().rest()
    assert (200, True, first.body) == (again.status, again.complete, again.body)
    assert (True, "true") == (first.body.endswith(DONE), again.headers["idempotency-replayed"])
    assert 1 == chat.model.stats().inferences
    assert f"{first.body.count(TOKEN)} tokens\n" == chat.bill.read_text("utf-8")


def test_lost_client_gets_the_whole_answer_later(chat: Chat) -> None:
    """Who leaves after the first token finds all of them, of one inference."""
    with chat.ask() as lost:
        beginning = lost.until(b"\n\n")
        lost.leave()
    reply = chat.ask().rest()
    assert (beginning, DONE) == (reply.body[: len(beginning)], reply.body[-len(DONE) :])
    assert 1 == chat.model.stats().inferences
    assert f"{reply.body.count(TOKEN)} tokens\n" == chat.bill.read_text("utf-8")
