"""Tests of `idemkit.http.openapi`: what a schema and a route of their own tell clients."""

import json
import re
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Header
from fastapi.middleware.gzip import GZipMiddleware
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate

from idemkit import Idempotency
from idemkit.http import HTTPPolicy, policy_document
from idemkit.http.asgi import IdempotencyMiddleware
from idemkit.http.fastapi import IdempotentRoute
from idemkit.http.openapi import add_policy_route, describe
from idemkit.http.syntax import parse_key
from idemkit.stores import MemoryStore
from tests.asgi import ask

JSON, PROBLEM = "application/json", "application/problem+json"
POLICY_ROUTE = "/.well-known/idempotency-policy"


@pytest.fixture
def idempotency() -> Idempotency:
    """Return one whose outcomes are replayed for an hour."""
    return Idempotency(MemoryStore(), ttl=3600)


@pytest.fixture
def app() -> FastAPI:
    """Return an application without a guard."""
    app = FastAPI()
    app.post("/items/{item}")(lambda item: item)
    app.get("/pay")(lambda: "paid")
    app.post("/pay")(lambda: "paid")
    return app


def operation(app: FastAPI, target: str = "POST /pay") -> dict[str, Any]:
    """Return an operation of an application's schema."""
    method, path = target.lower().split(" ")
    found: dict[str, Any] = app.openapi()["paths"][path][method]
    return found


def guarded(app: FastAPI) -> set[str]:
    """Return the operations that a schema describes as guarded."""
    return {
        f"{method.upper()} {path}"
        for path, item in app.openapi()["paths"].items()
        for method in item
        if "x-idempotency" in item[method]
    }


# --------------------------------------------------------------------- what is described


def test_operations_of_the_middleware(app: FastAPI, idempotency: Idempotency) -> None:
    """Its policy says which methods; it may be added after the schema was wrapped."""
    describe(app)
    app.add_middleware(IdempotencyMiddleware, idempotency=idempotency)
    app.add_middleware(GZipMiddleware)
    assert {"POST /items/{item}", "POST /pay"} == guarded(app)


def test_routes_of_the_middleware(app: FastAPI, idempotency: Idempotency) -> None:
    """Its routes decide before its policy does, whatever they call their placeholders."""
    routes = {"POST /items/{id}": None, "GET /pay": HTTPPolicy()}
    app.add_middleware(IdempotencyMiddleware, idempotency=idempotency, routes=routes)
    describe(app)
    assert {"GET /pay", "POST /pay"} == guarded(app)


def test_guarded_routes(app: FastAPI, idempotency: Idempotency) -> None:
    """A guarded route is described wherever its router is included."""
    router = APIRouter(route_class=IdempotentRoute.using(idempotency))
    router.get("/refund")(lambda: "refunded")
    router.post("/refund")(lambda: "refunded")
    for prefix in ("/v1", "/v2"):
        app.include_router(router, prefix=prefix)
    describe(app)
    assert {"POST /v1/refund", "POST /v2/refund"} == guarded(app)


def test_middleware_around_the_application(app: FastAPI, idempotency: Idempotency) -> None:
    """What stands around it is described by what it was given."""
    describe(app, idempotency=idempotency, policy=HTTPPolicy(methods=["GET"]))
    assert {"GET /pay"} == guarded(app)


def test_application_without_a_guard(app: FastAPI) -> None:
    """Its schema stays as it is."""
    before = json.dumps(app.openapi())
    describe(app)
    assert before == json.dumps(app.openapi())


def test_policy_needs_its_idempotency(app: FastAPI) -> None:
    """Without it nobody knows for how long an answer is replayed."""
    for publish in (describe, add_policy_route):
        with pytest.raises(TypeError, match="pass that too"):
            publish(app, policy=HTTPPolicy())
        with pytest.raises(TypeError, match="pass that too"):
            publish(app, routes={})


# ------------------------------------------------------------------- how it is described


def described(app: FastAPI, idempotency: Idempotency, **policy: Any) -> FastAPI:
    """Return an application that is guarded and described."""
    app.add_middleware(IdempotencyMiddleware, idempotency=idempotency, policy=HTTPPolicy(**policy))
    describe(app)
    return app


@pytest.mark.parametrize("policy", [{}, {"required": True, "key_pattern": "[0-9]+"}])
@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_schema_is_valid(
    app: FastAPI, idempotency: Idempotency, policy: dict[str, Any], version: str
) -> None:
    """A validator of OpenAPI finds nothing wrong with it."""
    app.openapi_version = version
    add_policy_route(app)
    schema = described(app, idempotency, **policy).openapi()
    validate(schema)
    assert "IdempotencyProblem" in schema["components"]["schemas"]


@pytest.mark.parametrize(
    ("policy", "required"),
    [({}, False), ({"required": True}, True), ({"required": True, "derive": "request"}, False)],
)
def test_header(
    app: FastAPI, idempotency: Idempotency, policy: dict[str, Any], required: bool
) -> None:
    """The key's header is a parameter, required where a request without it is refused."""
    parameters = operation(described(app, idempotency, **policy))["parameters"]
    assert [("Idempotency-Key", "header", required)] == [
        (parameter["name"], parameter["in"], parameter["required"]) for parameter in parameters
    ]


def test_header_of_the_application_stays(app: FastAPI, idempotency: Idempotency) -> None:
    """A route that reads the header itself has declared it already."""

    @app.post("/read")
    def read(idempotency_key: Annotated[str, Header(description="Ours.")]) -> None:
        """Read the key."""

    parameters = operation(described(app, idempotency), "POST /read")["parameters"]
    assert ["Ours."] == [parameter["description"] for parameter in parameters]


def test_header_with_a_pattern(app: FastAPI, idempotency: Idempotency) -> None:
    """The form of a key that a policy asks for is the form of the parameter."""
    parameter = operation(described(app, idempotency, key_pattern="a|b"))["parameters"][0]
    assert "^(?:a|b)$" == parameter["schema"]["pattern"]


@given(data=st.data())
def test_pattern_of_a_key(data: st.DataObject) -> None:
    """What fits the published pattern is a key."""
    app = FastAPI()
    app.post("/pay")(lambda: "paid")
    describe(app, idempotency=Idempotency(MemoryStore()))
    schema = operation(app)["parameters"][0]["schema"]
    value = data.draw(st.from_regex(re.compile(schema["pattern"], re.ASCII), fullmatch=True))
    assert value.strip('"') == parse_key([value])


def test_refusals(app: FastAPI, idempotency: Idempotency) -> None:
    """Every refusal is declared as a problem document, and when it is worth another try."""
    responses = operation(described(app, idempotency, required=True))["responses"]
    refusals = {status for status in responses if PROBLEM in responses[status].get("content", ())}
    retried = {
        status for status in responses if "Retry-After" in responses[status].get("headers", ())
    }
    assert ({"400", "409", "413", "422", "503"}, {"409", "503"}) == (refusals, retried)


def test_too_large_is_no_refusal_of_an_optional_key(app: FastAPI, idempotency: Idempotency) -> None:
    """Without a demand for keys, a large request passes."""
    assert "413" not in operation(described(app, idempotency))["responses"]


def test_validation_errors_stay(app: FastAPI, idempotency: Idempotency) -> None:
    """FastAPI's own 422 and ours are told apart by their media types."""
    sold = operation(described(app, idempotency), "POST /items/{item}")["responses"]["422"]
    assert "Validation Error; Idempotency-Key is already used" == sold["description"]
    assert {
        JSON: {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}},
        PROBLEM: {"schema": {"$ref": "#/components/schemas/IdempotencyProblem"}},
    } == sold["content"]


def test_other_errors_are_not_problem_documents(app: FastAPI, idempotency: Idempotency) -> None:
    """With a renderer of the application's own, nothing is said of what it renders."""
    app.add_middleware(
        IdempotencyMiddleware, idempotency=idempotency, error_renderer=lambda *_: (400, [], b"")
    )
    describe(app)
    assert {"description": "Idempotency-Key is already used"} == operation(app)["responses"]["422"]


def test_other_extensions_of_the_schema_stay(app: FastAPI, idempotency: Idempotency) -> None:
    """Whoever wrapped it before is called, and describing twice is as good as once."""
    describe(app, idempotency=idempotency)
    once = json.dumps(operation(app))
    describe(app, idempotency=idempotency, policy=HTTPPolicy(required=True))
    assert once == json.dumps(operation(app))


# ------------------------------------------------------------------------- what is published


def test_policy_of_an_operation(app: FastAPI, idempotency: Idempotency) -> None:
    """It says what the draft asks to be said."""
    policy = {"required": True, "key_pattern": "[0-9]+", "docs_url": "https://example.org/keys"}
    extension = operation(described(app, idempotency, **policy))["x-idempotency"]
    statuses = extension.pop("statuses")
    assert ["Idempotency-Key is missing", "Idempotency-Key is malformed"] == statuses["400"]
    assert {
        "header": "Idempotency-Key",
        "required": True,
        "derived": False,
        "key": {
            "syntax": "String of RFC 9651, quotes optional",
            "maxLength": 255,
            "pattern": "[0-9]+",
        },
        "expiry": {"from": "completion", "seconds": 3600.0},
        "fingerprint": {
            "covers": ["method", "path", "query", "media type", "body"],
            "body": {"json": "value", "form": "fields", "multipart": "parts", "other": "bytes"},
        },
        "maxRequestBytes": 10485760,
        "duplicates": "wait",
        "documentation": "https://example.org/keys",
    } == extension


@pytest.mark.parametrize(
    ("ttl", "of_policy", "expiry"),
    [
        (60, None, {"seconds": 60.0}),
        (60, 5, {"seconds": 5.0}),
        (lambda _: 60, None, {"varies": True}),
    ],
)
def test_expiry(ttl: Any, of_policy: float | None, expiry: dict[str, Any]) -> None:
    """An answer is replayed for as long as the policy says, or else the idempotency."""
    document = policy_document(Idempotency(MemoryStore(), ttl=ttl), HTTPPolicy(ttl=of_policy))
    assert {"from": "completion", **expiry} == document["policy"]["expiry"]


def test_policies_of_routes(idempotency: Idempotency) -> None:
    """A document lists them by pattern, with the methods that each makes guarded."""
    routes = {"put /a": HTTPPolicy(), "/b": HTTPPolicy(methods=["post"]), "/health": None}
    document = policy_document(idempotency, routes=routes)
    assert ["POST", "PATCH"] == document["policy"]["methods"]
    assert {"put /a": ["PUT"], "/b": ["POST"], "/health": None} == {
        pattern: route and route["methods"] for pattern, route in document["routes"].items()
    }


def test_document_checks_its_arguments(idempotency: Idempotency) -> None:
    """What the middleware would refuse is not published either."""
    with pytest.raises(ValueError, match="a route is written"):
        policy_document(idempotency, routes={"pay": HTTPPolicy()})


async def test_policy_route_of_the_middleware(app: FastAPI, idempotency: Idempotency) -> None:
    """Clients find what the middleware promises, and what a guarded route adds to it."""
    add_policy_route(app)
    routes = {"/health": None}
    app.add_middleware(
        IdempotencyMiddleware, idempotency=idempotency, routes=routes, on_event=print
    )
    route = IdempotentRoute.using(idempotency, HTTPPolicy(required=True))
    app.router.add_api_route("/a", lambda: "a", methods=["POST"], route_class_override=route)
    published = json.loads((await ask(app, f"GET {POLICY_ROUTE}")).body)
    own = published["routes"].pop("POST /a")
    assert (["POST"], True) == (own["methods"], own["required"])
    assert policy_document(idempotency, routes=routes) == published


async def test_policy_route_without_a_middleware(app: FastAPI, idempotency: Idempotency) -> None:
    """An application may have guarded routes alone; they stand at a path of its choice."""
    route = IdempotentRoute.using(idempotency)
    app.router.add_api_route("/a", lambda: "a", methods=["POST"], route_class_override=route)
    add_policy_route(app, "/policy")
    published = json.loads((await ask(app, "GET /policy")).body)
    assert ({"specification", "routes"}, {"POST /a"}) == (set(published), {*published["routes"]})


async def test_policy_route_of_what_stands_around(app: FastAPI, idempotency: Idempotency) -> None:
    """It publishes the arguments that it was given."""
    add_policy_route(app, idempotency=idempotency)
    answer = await ask(app, f"GET {POLICY_ROUTE}")
    assert policy_document(idempotency) == json.loads(answer.body)
