"""What clients are told of a policy: whose requests it guards, what a key is, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .policy import HTTPPolicy
from .problems import (
    DRAFT,
    FAILED,
    IN_DOUBT,
    MALFORMED,
    MISSING,
    NOT_RETAINED,
    OUTSTANDING,
    POISONED,
    REUSED,
    TOO_LARGE,
    UNAVAILABLE,
)
from .routes import Routes
from .syntax import LONGEST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..operation import Configuration
    from .problems import Problem

__all__ = ["is_demanded", "policy_document", "refusals", "terms"]

_ALWAYS: Final = (
    MALFORMED,
    OUTSTANDING,
    IN_DOUBT,
    POISONED,
    NOT_RETAINED,
    REUSED,
    FAILED,
    UNAVAILABLE,
)


def policy_document(
    idempotency: Configuration,
    policy: HTTPPolicy | None = None,
    routes: Mapping[str, HTTPPolicy | None] | None = None,
) -> dict[str, Any]:
    """Return what the middleware with these arguments promises its clients, ready for JSON.

    The draft of the header asks that it be published; any framework can serve it.

    Raises:
        TypeError: A policy is none.
        ValueError: A route is malformed.
    """
    policy = policy or HTTPPolicy()
    Routes(policy, routes)  # it refuses what the middleware would
    return {
        "specification": DRAFT,
        "policy": _entry(policy, policy.methods, idempotency),
        "routes": {
            pattern: own and _entry(own, _methods(pattern, own), idempotency)
            for pattern, own in (routes or {}).items()
        },
    }


def terms(policy: HTTPPolicy, idempotency: Configuration) -> dict[str, Any]:
    """Return what a policy promises for one operation, ready for JSON."""
    key: dict[str, Any] = {"syntax": "String of RFC 9651, quotes optional", "maxLength": LONGEST}
    if policy.pattern is not None:
        key["pattern"] = policy.pattern.pattern
    return {
        "header": policy.header,
        "required": is_demanded(policy),
        "derived": policy.derive is not None,
        "key": key,
        "expiry": _expiry(policy, idempotency),
        "fingerprint": {
            "covers": ["method", "path", "query", "media type", "body"],
            "body": {"json": "value", "form": "fields", "multipart": "parts", "other": "bytes"},
        },
        "maxRequestBytes": policy.max_request,
        "duplicates": policy.on_duplicate,
        "statuses": {
            str(status): [problem.title for problem in problems]
            for status, problems in refusals(policy).items()
        },
        "documentation": policy.docs_url or DRAFT,
    }


def is_demanded(policy: HTTPPolicy) -> bool:
    """Return whether a request without a key is refused."""
    return policy.required and policy.derive is None


def refusals(policy: HTTPPolicy) -> dict[int, list[Problem]]:
    """Return the problems that a policy may answer with, by status."""
    problems = [*_ALWAYS]
    if policy.required:
        problems.append(TOO_LARGE)
    if is_demanded(policy):
        problems.insert(0, MISSING)
    found: dict[int, list[Problem]] = {
        status: [] for status in sorted({p.status for p in problems})
    }
    for problem in problems:
        found[problem.status].append(problem)
    return found


def _entry(
    policy: HTTPPolicy, methods: Collection[str], idempotency: Configuration
) -> dict[str, Any]:
    return {"methods": [*methods], **terms(policy, idempotency)}


def _methods(pattern: str, policy: HTTPPolicy) -> Collection[str]:
    method, _, path = pattern.partition(" ")
    return (method.upper(),) if path else policy.methods


def _expiry(policy: HTTPPolicy, idempotency: Configuration) -> dict[str, Any]:
    ttl = idempotency.policy.ttl if policy.ttl_seconds is None else policy.ttl_seconds
    return {"from": "completion", **({"varies": True} if callable(ttl) else {"seconds": ttl})}
