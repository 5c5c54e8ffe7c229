"""What an application's operator is told of each request."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HTTPEvent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPEvent:
    """What became of one request that a policy applies to.

    Args:
        outcome: In the words of `Outcome`, or ``"refused"`` with a problem document,
            ``"unguarded"`` for its size, ``"failed"`` with an exception, or ``"left"``: the client
            had gone before it had its answer.
        operation: The method, and the route's pattern if it is listed.
        key: The text of the call's key; None if it has none.
        status: Of the answer; None if none had begun.
        problem: The code of the refusal, if it was one.
    """

    outcome: str
    operation: str
    key: str | None = None
    status: int | None = None
    problem: str | None = None
