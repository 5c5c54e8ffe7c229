"""Fixtures for tests of guarded functions; pytest loads them wherever idemkit is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..idempotency import Idempotency
    from .replays import ReplayCheck

__all__ = ["idempotency", "replay_check"]


@pytest.fixture
def idempotency(monkeypatch: pytest.MonkeyPatch) -> Iterator[Idempotency]:
    """Return an `Idempotency` with an empty memory, which a bare `@idempotent` uses meanwhile."""
    # Inside, as below: pytest loads this module in runs that know nothing of idemkit.
    from .. import operation  # noqa: PLC0415
    from ..idempotency import Idempotency  # noqa: PLC0415

    with Idempotency("memory://") as fresh:
        monkeypatch.setattr(operation, "_default", fresh)
        yield fresh


@pytest.fixture
def replay_check(request: pytest.FixtureRequest) -> Iterator[ReplayCheck]:
    """Replay every guarded call that runs in this test, and compare.

    A call whose replay is not what its body returned fails with an `AssertionError`. When the test
    is over, so does what nobody saw: such an error that was caught, and a result that was changed
    after it had been recorded.
    """
    from .faults import on_point  # noqa: PLC0415
    from .replays import ReplayCheck  # noqa: PLC0415

    failures = request.session.testsfailed
    check = ReplayCheck()
    with on_point(check):
        yield check
    if request.session.testsfailed == failures:
        problems = check.problems + check.changed()
        assert not problems, "; ".join(problems)
