"""Requests made up from an OpenAPI schema, good and bad, against a guarded application."""

from typing import Annotated, Any

import schemathesis
from fastapi import FastAPI, Form
from hypothesis import settings
from pydantic import BaseModel
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from idemkit import Idempotency
from idemkit.http import HTTPPolicy
from idemkit.http.asgi import IdempotencyMiddleware
from idemkit.stores.memory import MemoryStore

OBJECT = {"schema": {"type": "object"}}


class Order(BaseModel):
    """What somebody wants."""

    item: str
    amount: int
    note: str | None = None


def ordering() -> FastAPI:
    """Return an application that takes orders under keys alone."""
    app = FastAPI()
    app.add_middleware(
        IdempotencyMiddleware,
        idempotency=Idempotency(MemoryStore()),
        policy=HTTPPolicy(required=True),
    )

    @app.post("/orders", status_code=201)
    async def order(order: Order) -> Order:
        """Take an order."""
        return order

    @app.patch("/orders/{number}")
    async def change(number: int, order: Order, dry: bool = False) -> dict[str, Any]:
        """Change an order."""
        return {"number": number, "order": order, "dry": dry}

    @app.post("/notes")
    def note(text: Annotated[str, Form()]) -> str:
        """Take a note."""
        return text

    describe(app.openapi())
    return app


def describe(document: dict[str, Any]) -> None:
    """Add the key, and what may become of it, to every operation."""
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }
    for path in document["paths"].values():
        for operation in path.values():
            operation.setdefault("parameters", []).append(key)
            responses = operation["responses"]
            # Of its own, FastAPI describes 422 alone, and answers 400 to what is no JSON.
            for status in ("400", "409", "422"):
                content = responses.setdefault(status, {"description": "Refused", "content": {}})
                for kind in ("application/json", "application/problem+json"):
                    content["content"].setdefault(kind, OBJECT)


app = ordering()
schema = schemathesis.openapi.from_asgi("/openapi.json", app)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


@schema.parametrize()
@settings(max_examples=100, deadline=None, derandomize=True)
def test_guarded_application_keeps_to_its_schema(case: schemathesis.Case) -> None:
    """No request makes it fail, or give an answer that its schema does not know."""
    case.call_and_validate(checks=CHECKS)
