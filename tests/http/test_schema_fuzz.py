"""Requests made up from an OpenAPI schema, good and bad, against a guarded application."""

from typing import Annotated, Any

import pytest
import schemathesis
from fastapi import FastAPI, Form
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from idemkit import Idempotency
from idemkit.http import HTTPPolicy
from idemkit.http.asgi import IdempotencyMiddleware
from idemkit.http.openapi import describe
from idemkit.stores.memory import MemoryStore

UNREADABLE = {"description": "The body cannot be read", "content": {"application/json": {}}}
"""What FastAPI answers to what is no JSON, and does not describe by itself."""

BESIDE_THE_POINT: list[Any] = [positive_data_acceptance, negative_data_rejection]
"""A good request is refused where its key came before with another one, and pydantic takes some bad
ones."""


class Order(BaseModel):
    """What somebody wants."""

    item: str
    amount: int
    note: str | None = None


def ordering() -> FastAPI:
    """Return an application that takes orders under keys alone."""
    app = FastAPI(responses={400: UNREADABLE})
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

    describe(app)
    return app


@pytest.fixture(scope="module")
def schema() -> BaseSchema:
    """Return the schema of the application, as its clients see it."""
    return schemathesis.openapi.from_asgi("/openapi.json", ordering())


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/orders"), ("PATCH", "/orders/{number}"), ("POST", "/notes")]
)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_guarded_application_keeps_to_its_schema(
    schema: BaseSchema, method: str, path: str, mode: GenerationMode, data: st.DataObject
) -> None:
    """No request makes it fail, or give an answer that its schema does not know, or two answers."""
    case = data.draw(schema[path][method].as_strategy(generation_mode=mode))
    first = case.call_and_validate(excluded_checks=BESIDE_THE_POINT)
    assert first.status_code == case.call().status_code
