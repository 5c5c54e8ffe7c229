"""Tests of `idemkit.http.problems`: what a refusal tells a client."""

import json
from typing import Any
from uuid import UUID

import pytest

from idemkit import errors
from idemkit.http import problems
from idemkit.http.problems import DRAFT, Problem, malformed, of_error, render

PROBLEMS = [value for value in vars(problems).values() if isinstance(value, Problem)]
KEY = "charge:0123456789abcdef"


def document(problem: Problem) -> Any:
    """Return the document of a problem."""
    return json.loads(render(problem)[2])


def headers(problem: Problem, docs_url: str | None = None) -> dict[str, str]:
    """Return the header fields of a problem's answer."""
    return dict(render(problem, docs_url)[1])


@pytest.mark.parametrize(
    ("problem", "status", "title"),
    [
        (problems.MISSING, 400, "Idempotency-Key is missing"),
        (problems.MALFORMED, 400, "Idempotency-Key is malformed"),
        (problems.REUSED, 422, "Idempotency-Key is already used"),
        (problems.OUTSTANDING, 409, "A request is outstanding for this Idempotency-Key"),
    ],
    ids=["missing", "malformed", "reused", "outstanding"],
)
def test_cases_of_the_draft(problem: Problem, status: int, title: str) -> None:
    """The cases that the draft knows have its statuses and titles."""
    found = document(problem)
    assert (status, status, title) == (render(problem)[0], found["status"], found["title"])


def test_document() -> None:
    """A document says what RFC 9457 asks for, and what SDKs of language models read."""
    found = document(problems.TOO_LARGE)
    UUID(found.pop("instance").removeprefix("urn:uuid:"))
    title, detail = problems.TOO_LARGE.title, problems.TOO_LARGE.detail
    assert found == {
        "type": f"{DRAFT}#too-large",
        "title": title,
        "status": 413,
        "detail": detail,
        "error": {
            "message": f"{title}. {detail}",
            "type": "idempotency_error",
            "code": "too-large",
        },
    }


def test_every_document_is_an_instance_of_its_own() -> None:
    """Two refusals can be told apart."""
    assert document(problems.MISSING)["instance"] != document(problems.MISSING)["instance"]


def test_every_case_has_a_fragment_of_its_own() -> None:
    """The page that explains the cases has a place for each."""
    assert len(PROBLEMS) == len({document(problem)["type"] for problem in PROBLEMS})


def test_headers() -> None:
    """An answer says how to read it, where it is explained, and not to be cached."""
    body = render(problems.POISONED, "/errors")[2]
    found = headers(problems.POISONED, "/errors")
    assert found == {
        "Content-Type": "application/problem+json",
        # The length of an instance is always the same.
        "Content-Length": str(len(body)),
        "Content-Language": "en",
        "Cache-Control": "no-store",
        "Link": '</errors#poisoned>; rel="describedby"; type="text/html"',
        "x-should-retry": "false",
    }


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.code)
def test_whoever_shall_come_again_is_told_when(problem: Problem) -> None:
    """What may be sent again says so and when; nothing else does."""
    found = headers(problem)
    assert (found["x-should-retry"] == "true") == ("Retry-After" in found)


@pytest.mark.parametrize(
    ("delay", "header"), [(0.0, "1"), (1.0, "1"), (1.2, "2"), (5.0, "5"), (300.0, "5")]
)
def test_retry_after_is_modest(delay: float, header: str) -> None:
    """A delay is whole seconds, one at least and five at most."""
    problem = Problem(409, "a", "b", "c", retry=True, retry_after=delay)
    assert header == headers(problem)["Retry-After"]


def test_malformed_says_why() -> None:
    """The detail of a malformed key is the complaint about it."""
    assert "The key is empty." == document(malformed("The key is empty."))["detail"]


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (errors.InProgressError, problems.OUTSTANDING),
        (errors.KeyReusedError, problems.REUSED),
        (errors.InDoubtError, problems.IN_DOUBT),
        (errors.PoisonedError, problems.POISONED),
        (errors.ResultUnavailableError, problems.NOT_RETAINED),
        (errors.ResultNotSerializableError, problems.NOT_RETAINED),
        (errors.ResultUnreadableError, problems.NOT_RETAINED),
        (errors.StreamInterruptedError, problems.FAILED),
        (errors.ClaimLostError, problems.FAILED),
        (errors.MaxRunExceededError, problems.FAILED),
        (errors.StoreUnavailableError, problems.UNAVAILABLE),
        (errors.StoreFullError, problems.UNAVAILABLE),
        (errors.ReentrantCallError, problems.INTERNAL),
        (errors.IdempotencyError, problems.INTERNAL),
    ],
)
def test_problem_of_an_error(kind: type[errors.IdempotencyError], problem: Problem) -> None:
    """Every error is one of the cases that are explained."""
    assert problem == of_error(kind("no matter"))


def test_error_says_when() -> None:
    """An error that knows when to come again is believed."""
    assert 2.5 == of_error(errors.InProgressError("no matter", retry_after=2.5)).retry_after


def test_key_is_named() -> None:
    """A document has the text of the key, with which an operator can look it up."""
    assert KEY == document(of_error(errors.KeyReusedError("no matter", key=KEY)))["key"]


def test_errors_own_words_stay_inside() -> None:
    """What an error says to its developer is not for clients."""
    assert b"secret" not in render(of_error(errors.StoreUnavailableError("secret")))[2]
