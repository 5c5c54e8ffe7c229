"""The app for WSGI servers, with a plain function and nothing but the standard library.

Run it from the project's root:
`python -m gunicorn -w 4 -k gthread --threads 4 examples.four_workers.wsgi:app`.
Then place an order, twice: `curl -X POST 'http://127.0.0.1:8000/orders/1?seconds=3'`.
"""

import json
import os
import re
import time
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from idemkit import IdempotencyError

from .ledger import enter, idem

__all__ = ["app"]


@idem.idempotent(ignore=["seconds"])
def place(number: int, seconds: float) -> dict[str, int]:
    """Place an order, which takes a while."""
    enter(number)
    time.sleep(seconds)
    return {"order": number, "placed_by": os.getpid()}


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Place the order that the address names, or say who has placed it."""
    order = re.fullmatch(r"POST /orders/(\d+)", "{REQUEST_METHOD} {PATH_INFO}".format_map(environ))
    status, reply = answer(int(order[1]), environ["QUERY_STRING"]) if order else (404, {})
    start_response(f"{status} {HTTPStatus(status).phrase}", [("Content-Type", "application/json")])
    return [json.dumps(reply).encode()]


def answer(number: int, query: str) -> tuple[int, dict[str, object]]:
    """Return the status and the reply to one order."""
    seconds = float(parse_qs(query).get("seconds", ["1"])[0])
    try:
        outcome = place.outcome(number, seconds)
    except IdempotencyError as error:
        return error.status, {"error": str(error)}
    return 200, {**outcome.value, "answered_by": os.getpid(), "outcome": outcome.kind}
