"""Refusals as a client reads them: problem documents of RFC 9457."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import uuid4

from ..core.refusals import MAX_RETRY_AFTER
from ..errors import (
    ClaimLostError,
    InDoubtError,
    InProgressError,
    KeyReusedError,
    MaxRunExceededError,
    PoisonedError,
    ResultError,
    StoreError,
    StreamError,
)

if TYPE_CHECKING:
    from ..errors import IdempotencyError

__all__ = [
    "DRAFT",
    "FAILED",
    "INCOMPLETE",
    "INTERNAL",
    "IN_DOUBT",
    "MALFORMED",
    "MISSING",
    "NOT_RETAINED",
    "OUTSTANDING",
    "POISONED",
    "REUSED",
    "TOO_LARGE",
    "UNAVAILABLE",
    "Problem",
    "Rendered",
    "malformed",
    "of_error",
    "render",
]

DRAFT: Final = "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07"
"""Where the errors are explained unless a policy names a page of its own."""

Rendered: TypeAlias = tuple[int, list[tuple[str, str]], bytes]
"""Status, header fields and body of an answer."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal: what went wrong with a request's key, and whether to send it again.

    Args:
        status: Of the answer.
        code: A word for programs; also the fragment of the page that explains it.
        title: What went wrong, alike for every request it happens to.
        detail: What to do about it.
        retry: Whether the same request may have a better answer later.
        retry_after: In how many seconds.
        key: The text of the call's key: operation and digest, never what the client sent.
    """

    status: int
    code: str
    title: str
    detail: str
    retry: bool = False
    retry_after: float | None = None
    key: str | None = None


MISSING: Final = Problem(
    400,
    "missing",
    "Idempotency-Key is missing",
    "This operation needs a key: send a fresh one with each new request, and the same one with "
    "every retry of it.",
)
MALFORMED: Final = Problem(
    400,
    "malformed",
    "Idempotency-Key is malformed",
    "Send it once, as a string of at most 255 visible ASCII characters, such as a UUID.",
)
REUSED: Final = Problem(
    422,
    "reused",
    "Idempotency-Key is already used",
    "The key came before with another request; send a new key with a new request.",
)
OUTSTANDING: Final = Problem(
    409,
    "outstanding",
    "A request is outstanding for this Idempotency-Key",
    "The first request with this key is still being worked on; send it again later.",
    retry=True,
    retry_after=1.0,
)
IN_DOUBT: Final = Problem(
    409,
    "in-doubt",
    "The outcome for this Idempotency-Key is unknown",
    "An earlier request with this key broke off, and nobody knows how far it got. It will not run "
    "again until that is settled; find out what happened before you send a new key.",
)
POISONED: Final = Problem(
    409,
    "poisoned",
    "Every attempt for this Idempotency-Key broke off",
    "Each request with this key took its server down, so it will not run again.",
)
NOT_RETAINED: Final = Problem(
    409,
    "not-retained",
    "The result for this Idempotency-Key was not retained",
    "The request was carried out once, but there is no answer to repeat.",
)
TOO_LARGE: Final = Problem(
    413,
    "too-large",
    "The request is too large for an Idempotency-Key",
    "This operation needs a key, and a body of this size cannot be compared with earlier ones.",
)
INCOMPLETE: Final = Problem(
    400,
    "incomplete",
    "The request is incomplete",
    "The connection broke off before the end of the request, and nothing was carried out; send it "
    "again.",
    retry=True,
    retry_after=1.0,
)
FAILED: Final = Problem(
    503,
    "failed",
    "The first request for this Idempotency-Key failed",
    "Nothing was recorded for this key; send the request again.",
    retry=True,
    retry_after=1.0,
)
UNAVAILABLE: Final = Problem(
    503,
    "unavailable",
    "Idempotency cannot be ensured at the moment",
    "Nothing was carried out; send the request again.",
    retry=True,
    retry_after=1.0,
)
INTERNAL: Final = Problem(
    500,
    "internal",
    "The request could not be completed",
    "The server made a mistake in guarding this request; its log says more.",
)

_OF_ERRORS: Final[dict[type[IdempotencyError], Problem]] = {
    InProgressError: OUTSTANDING,
    KeyReusedError: REUSED,
    InDoubtError: IN_DOUBT,
    PoisonedError: POISONED,
    ResultError: NOT_RETAINED,
    StoreError: UNAVAILABLE,
    StreamError: FAILED,
    ClaimLostError: FAILED,
    MaxRunExceededError: FAILED,
}


def malformed(reason: str) -> Problem:
    """Return the problem of a key that is none.

    Args:
        reason: What is wrong with it, as a sentence that does not repeat it.
    """
    return replace(MALFORMED, detail=reason)


def of_error(error: IdempotencyError) -> Problem:
    """Return the problem that tells a client of an error, without the error's own words."""
    known = (_OF_ERRORS[kind] for kind in type(error).__mro__ if kind in _OF_ERRORS)
    problem = next(known, INTERNAL)
    asked = getattr(error, "retry_after", None)
    retry_after = problem.retry_after if asked is None else asked
    return replace(problem, key=error.key, retry_after=retry_after)


def render(problem: Problem, docs_url: str | None = None) -> Rendered:
    """Return the answer for a problem: a document, with an `error` object for the SDKs of LLMs.

    Args:
        problem: What went wrong.
        docs_url: The page that explains it; None is the draft of the header.
    """
    link = f"{docs_url or DRAFT}#{problem.code}"
    body = json.dumps(_document(problem, link)).encode()
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Content-Language", "en"),
        ("Cache-Control", "no-store"),
        ("Link", f'<{link}>; rel="describedby"; type="text/html"'),
        ("x-should-retry", "true" if problem.retry else "false"),
    ]
    if problem.retry_after is not None:
        headers.append(("Retry-After", str(_whole_seconds(problem.retry_after))))
    return problem.status, headers, body


def _document(problem: Problem, link: str) -> dict[str, Any]:
    document = {
        "type": link,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": uuid4().urn,
        "error": {
            "message": f"{problem.title}. {problem.detail}",
            "type": "idempotency_error",
            "code": problem.code,
        },
    }
    return document if problem.key is None else {**document, "key": problem.key}


def _whole_seconds(delay: float) -> int:
    return math.ceil(min(max(delay, 1.0), MAX_RETRY_AFTER))
