"""The service: what the server offers, whatever the connection."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from .apis.batches import Batches
from .apis.completions import Completions
from .apis.embeddings import Embeddings
from .apis.files import Files
from .apis.gemini import Gemini
from .apis.message_batches import MessageBatches
from .apis.messages import Messages
from .apis.ollama import Ollama
from .apis.paging import page
from .apis.reading import check_name
from .apis.responses import Responses
from .dialects import Dialect
from .engine import Engine
from .errors import ApiError, Json, told
from .faults import Scene, Script, parse_faults
from .jobs import Jobs
from .journal import Journal
from .model import MODEL_NAME
from .replies import Content, HangUp, Reply, Stream, document
from .routes import Call, Route, Routes, split_target

__all__ = ["Exchange", "Service"]

# What OpenAI says of a model, and what Anthropic says, on one card.
_CARD: Json = {
    "id": MODEL_NAME,
    "object": "model",
    "created": 0,
    "owned_by": "python",
    "type": "model",
    "display_name": "N-grams of the standard library",
    "created_at": "1970-01-01T00:00:00Z",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A reply and the name under which its request is logged."""

    id: str
    reply: Reply | HangUp
    dialect: Dialect


class Service:
    """All endpoints over one engine, with their journal and the script of their failures.

    Args:
        engine: what answers.
        jobs: executes batches.
    """

    def __init__(self, engine: Engine, jobs: Jobs) -> None:
        """Put all routes together."""
        self.engine = engine
        self.journal = Journal()
        self.script = Script()
        self.routes = Routes(
            [
                *_endpoints(engine, jobs),
                Route("GET", "/v1/models", self._models),
                Route("GET", "/v1/models/{id}", self._model),
                Route("GET", "/health", self._health, watched=False),
                Route("GET", "/stats", self._stats, watched=False),
                Route("GET", "/requests", self._requests, watched=False),
                Route("POST", "/script", self._script, watched=False),
            ]
        )

    def largest(self, target: str) -> int:
        """Return the most bytes that a request's body may have."""
        return self.routes.largest(split_target(target)[0])

    def refuse(self, target: str, error: ApiError) -> Content:
        """Return an error in the words of the endpoint it happened at."""
        return self.routes.dialect(split_target(target)[0]).refusal(error)

    def answer(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes
    ) -> Exchange:
        """Return the reply to a request, which is an error if the request is refused."""
        path, query = split_target(target)
        dialect = self.routes.dialect(path)
        try:
            route, names = self.routes.find(method, path)
        except ApiError as error:
            return Exchange("", dialect.refusal(error), dialect)
        call = Call(query, headers, body, names)
        if not route.watched:
            return Exchange("", self._run(route, call), dialect)
        name = self.journal.begin(method, target, headers=headers, body=body)
        self.engine.meter.add_request(route.name)
        return Exchange(name, self._play(name, method, path, route, call), dialect)

    def _play(self, name: str, method: str, path: str, route: Route, call: Call) -> Reply | HangUp:
        fault = self.script.take(method, path)
        if fault is None:
            return self._run(route, call)
        self.journal.note(name, fault=type(fault).__name__.lower())
        scene = Scene(lambda: self._run(route, call), route.dialect, self.engine.pace.sleep)
        return fault.play(scene)

    def _run(self, route: Route, call: Call) -> Reply:
        try:
            reply = route.endpoint(call)
        except Exception as error:  # noqa: BLE001 - a defect is answered too
            return route.dialect.refusal(told(error))
        if isinstance(reply, Stream):
            return replace(reply, frames=_guarded(reply.frames, route.dialect))
        return reply

    def _models(self, call: Call) -> Reply:
        return document(page([_CARD], call.query))

    def _model(self, call: Call) -> Reply:
        check_name(call.names["id"])
        return document(_CARD)

    def _health(self, _: Call) -> Reply:
        return document({"status": "ok"})

    def _stats(self, _: Call) -> Reply:
        stats = self.engine.meter.stats()
        return document({**asdict(stats), "total_tokens": stats.total_tokens})

    def _requests(self, _: Call) -> Reply:
        return document({"requests": [entry.json() for entry in self.journal.entries()]})

    def _script(self, call: Call) -> Reply:
        return document({"pending": self.script.add(*parse_faults(call.json()))})


def _endpoints(engine: Engine, jobs: Jobs) -> Iterator[Route]:
    completions, responses = Completions(engine), Responses(engine)
    embeddings, messages, files = Embeddings(engine), Messages(engine), Files()
    batched = {
        "/v1/chat/completions": completions.create,
        "/v1/responses": responses.create,
        "/v1/embeddings": embeddings.create,
    }
    batches, message_batches = Batches(files, jobs, batched), MessageBatches(messages, jobs)
    yield from (*completions.routes(), *responses.routes(), *embeddings.routes())
    yield from (*messages.routes(), *message_batches.routes())
    yield from (*files.routes(), *batches.routes())
    yield from (*Gemini(engine).routes(), *Ollama(engine).routes())


def _guarded(frames: Iterator[bytes], dialect: Dialect) -> Iterator[bytes]:
    try:
        yield from frames
    except Exception as error:  # noqa: BLE001 - a defect is answered too
        yield dialect.frame(told(error))
