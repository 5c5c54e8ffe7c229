"""The app for ASGI servers, with a coroutine function.

Run it from the project's root: `python -m uvicorn --workers 4 examples.four_workers.asgi:app`.
Then place an order, twice: `curl -X POST 'http://127.0.0.1:8000/orders/1?seconds=3'`.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from idemkit import IdempotencyError

from .ledger import enter, idem

__all__ = ["app"]


@idem.idempotent(ignore=["seconds"])
async def place(number: int, seconds: float) -> dict[str, int]:
    """Place an order, which takes a while."""
    enter(number)
    await asyncio.sleep(seconds)
    return {"order": number, "placed_by": os.getpid()}


async def answer(request: Request) -> JSONResponse:
    """Place the order that the address names, or say who has placed it."""
    seconds = float(request.query_params.get("seconds", "1"))
    try:
        outcome = await place.outcome(request.path_params["number"], seconds)
    except IdempotencyError as error:
        return JSONResponse({"error": str(error)}, error.status)
    return JSONResponse(outcome.value | {"answered_by": os.getpid(), "outcome": outcome.kind})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Refuse to start without a store, and close it in the end."""
    async with idem:
        await idem.aopen()
        yield


app = Starlette(routes=[Route("/orders/{number:int}", answer, methods=["POST"])], lifespan=lifespan)
