"""Tests of `idemkit.http.fastapi`: routes that are guarded one by one."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, UploadFile
from fastapi.responses import StreamingResponse

from idemkit import Idempotency
from idemkit.http import HTTPPolicy
from idemkit.http.asgi import IdempotencyMiddleware
from idemkit.http.fastapi import IdempotentRoute
from idemkit.stores import MemoryStore
from tests.asgi import ask

if TYPE_CHECKING:
    from idemkit.http import HTTPEvent

BOUNDARY = "boundary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
UPLOAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    f"hello\r\n--{BOUNDARY}--\r\n"
).encode()


class Shop:
    """An application with a guarded router at ``/v1``, and what became of its requests.

    Args:
        policy: How the router is guarded.
        options: More arguments of `IdempotentRoute.using`.
    """

    def __init__(self, policy: HTTPPolicy | None = None, **options: Any) -> None:
        self.idempotency = Idempotency(MemoryStore())
        self.events: list[HTTPEvent] = []
        self.runs: list[str] = []
        self.guarded = IdempotentRoute.using(
            self.idempotency, policy, on_event=self.events.append, **options
        )
        self.app = FastAPI()
        self.router = APIRouter(route_class=self.guarded)

    def open(self) -> FastAPI:
        """Return the application with its router."""
        self.app.include_router(self.router, prefix="/v1")
        return self.app

    def operations(self) -> list[str]:
        """Return the names of the operations that were guarded."""
        return [event.operation for event in self.events]


@pytest.fixture
def shop() -> Shop:
    """Return a shop that sells at ``POST /v1/items/{item}``."""
    shop = Shop()

    @shop.router.post("/items/{item}", status_code=201)
    def sell(item: str) -> dict[str, str]:
        shop.runs.append(item)
        return {"sold": item}

    return shop


async def test_duplicate_is_replayed(shop: Shop) -> None:
    """The second request of a key gets the first one's answer, and nothing runs."""
    app = shop.open()
    first, second = [await ask(app, "POST /v1/items/7", key="a") for _ in range(2)]
    assert (["7"], False, True) == (shop.runs, first.replayed, second.replayed)
    assert (201, b'{"sold":"7"}') == (first.status, first.body) == (second.status, second.body)


async def test_path_counts(shop: Shop) -> None:
    """A key at one path and the same key at another have nothing to do with each other."""
    app = shop.open()
    for path in ("/v1/items/7", "/v1/items/8"):
        await ask(app, f"POST {path}", key="a")
    assert ["7", "8"] == shop.runs


async def test_operation_is_named_after_the_whole_route(shop: Shop) -> None:
    """Its name has the prefix and the placeholders, wherever the router is included."""
    app = shop.open()
    outer = APIRouter(prefix="/v2")
    outer.include_router(shop.router)
    app.include_router(outer)
    for path in ("/v1/items/7", "/v2/items/7"):
        await ask(app, f"POST {path}", key="a")
    assert ["POST /v1/items/{item}", "POST /v2/items/{item}"] == shop.operations()


async def test_key_names_the_route(shop: Shop) -> None:
    """Whoever reads a key's text in a log sees the operation that events and spans name."""
    await ask(shop.open(), "POST /v1/items/7", key="a")
    (event,) = shop.events
    assert f"{event.operation}@1" == str(event.key).rpartition(":")[0]


async def test_place_of_another_route(shop: Shop) -> None:
    """An application that is mounted in an included router gets a request with its place."""
    app = shop.open()
    shop.app.router.add_api_route(
        "/pay", lambda: "paid", methods=["POST"], route_class_override=shop.guarded
    )

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        place = SimpleNamespace(original_route=None, path_format="/mount")
        await app({**scope, "fastapi": {"effective_route_context": place}}, receive, send)

    await ask(mounted, "POST /pay", key="a")
    assert ["POST /pay"] == shop.operations()


async def test_request_without_a_key_passes(shop: Shop) -> None:
    """It runs as often as it comes."""
    app = shop.open()
    for _ in range(2):
        await ask(app, "POST /v1/items/7")
    assert ["7", "7"] == shop.runs


async def test_one_route_of_an_application() -> None:
    """A route can be guarded without its neighbors."""
    shop = Shop(HTTPPolicy(required=True))

    def pay() -> str:
        return "paid"

    shop.app.router.add_api_route("/pay", pay, methods=["POST"], route_class_override=shop.guarded)
    shop.app.post("/log")(pay)
    statuses = [(await ask(shop.app, f"POST {path}")).status for path in ("/pay", "/log")]
    assert [400, 200] == statuses


async def test_methods_of_the_policy_are_guarded() -> None:
    """Others pass, though the route answers them too."""
    shop = Shop(HTTPPolicy(required=True))
    shop.router.api_route("/pay", methods=["GET", "POST"])(lambda: "paid")
    app = shop.open()
    statuses = [(await ask(app, f"{method} /v1/pay")).status for method in ("GET", "POST")]
    assert [200, 400] == statuses


async def test_method_that_the_route_does_not_answer() -> None:
    """No key is asked for where there is nothing to guard."""
    shop = Shop(HTTPPolicy(required=True))
    shop.router.put("/pay")(lambda: "paid")
    assert 405 == (await ask(shop.open(), "POST /v1/pay")).status


async def test_refusal_by_the_application_is_replayed() -> None:
    """What FastAPI makes of an exception is an answer as any other."""
    shop = Shop()

    @shop.router.post("/pay")
    def pay() -> None:
        shop.runs.append("pay")
        raise HTTPException(404, "no such account")

    app = shop.open()
    answers = [await ask(app, "POST /v1/pay", key="a") for _ in range(2)]
    assert (["pay"], [404, 404]) == (shop.runs, [answer.status for answer in answers])


async def test_error_renderer() -> None:
    """Refusals of the guard look as the application wants them."""
    shop = Shop(HTTPPolicy(required=True), error_renderer=lambda *_: (418, [], b"no key"))
    shop.router.post("/pay")(lambda: "paid")
    answer = await ask(shop.open(), "POST /v1/pay")
    assert (418, b"no key") == (answer.status, answer.body)


async def test_middleware_beside_it_guards_once(shop: Shop) -> None:
    """The route lets pass what the middleware guards already."""
    outer: list[HTTPEvent] = []
    shop.app.add_middleware(
        IdempotencyMiddleware, idempotency=shop.idempotency, on_event=outer.append
    )
    app = shop.open()
    answers = [await ask(app, "POST /v1/items/7", key="a") for _ in range(2)]
    assert (["7"], [False, True]) == (shop.runs, [answer.replayed for answer in answers])
    assert ([], ["executed", "replayed"]) == (shop.events, [event.outcome for event in outer])


async def test_form_is_read_once_more_from_its_record() -> None:
    """A duplicate of an upload is replayed, whatever its boundary."""
    shop = Shop()

    @shop.router.post("/files")
    async def keep(file: UploadFile) -> str:
        return (await file.read()).decode()

    app = shop.open()
    other = {"content-type": "multipart/form-data; boundary=limits"}
    first = await ask(app, "POST /v1/files", key="a", headers=FORM, body=UPLOAD)
    again = UPLOAD.replace(BOUNDARY.encode(), b"limits")
    second = await ask(app, "POST /v1/files", key="a", headers=other, body=again)
    assert (b'"hello"', b'"hello"', True) == (first.body, second.body, second.replayed)


async def test_files_outlive_the_client() -> None:
    """A client that leaves does not close the files of the route that runs on."""
    shop = Shop()
    begun, go = asyncio.Event(), asyncio.Event()

    @shop.router.post("/files")
    async def keep(file: UploadFile) -> None:
        begun.set()
        await go.wait()
        shop.runs.append((await file.read()).decode())

    request = ask(shop.open(), "POST /v1/files", key="a", headers=FORM, body=UPLOAD)
    client = asyncio.create_task(request)
    await begun.wait()
    client.cancel()
    await asyncio.wait([client])
    go.set()
    await shop.idempotency.aclose()
    assert ["hello"] == shop.runs


async def test_files_are_closed_in_the_end() -> None:
    """They are open while the route runs, and no longer."""
    shop = Shop()
    files: list[UploadFile] = []

    @shop.router.post("/files")
    async def keep(file: UploadFile) -> bool:
        files.append(file)
        return file.file.closed

    answer = await ask(shop.open(), "POST /v1/files", key="a", headers=FORM, body=UPLOAD)
    await shop.idempotency.aclose()
    assert (b"false", True) == (answer.body, files[0].file.closed)


async def test_stream_arrives_as_it_is_made() -> None:
    """Its first part is there before its last is made; a duplicate gets the same bytes."""
    shop = Shop()
    arrived = asyncio.Event()

    async def parts() -> AsyncIterator[str]:
        yield "a"
        await arrived.wait()
        yield "b"

    @shop.router.post("/chat")
    async def chat() -> StreamingResponse:
        return StreamingResponse(parts())

    app = shop.open()
    first = await ask(
        app, "POST /v1/chat", key="a", on_part=lambda part: arrived.set() if part else None
    )
    second = await ask(app, "POST /v1/chat", key="a")
    assert (b"ab", b"ab", True) == (first.body, second.body, second.replayed)


async def test_dependencies_and_background_tasks_run_once() -> None:
    """What surrounds the route is a part of it."""
    shop = Shop()

    async def session() -> AsyncIterator[str]:
        shop.runs.append("opened")
        yield "session"
        shop.runs.append("closed")

    @shop.router.post("/pay")
    def pay(session: Annotated[str, Depends(session)], tasks: BackgroundTasks) -> str:
        tasks.add_task(shop.runs.append, "mailed")
        return session

    app = shop.open()
    for _ in range(2):
        await ask(app, "POST /v1/pay", key="a")
    await shop.idempotency.aclose()
    assert ["closed", "mailed", "opened"] == sorted(shop.runs)


def test_class_must_be_made() -> None:
    """Without an idempotency there is nothing to guard with."""
    router = APIRouter(route_class=IdempotentRoute)
    with pytest.raises(TypeError, match=r"IdempotentRoute\.using\(idempotency\)"):
        router.post("/pay")(lambda: "paid")


@pytest.mark.parametrize("arguments", [("redis://",), (Idempotency(MemoryStore()), "required")])
def test_arguments_are_checked(arguments: Any) -> None:
    """What cannot guard is refused where it is passed."""
    with pytest.raises(TypeError, match="must be an"):
        IdempotentRoute.using(*arguments)
