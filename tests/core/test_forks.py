"""Tests of `idemkit.core.forks`: children drop what is their parent's."""

import os

import pytest

from idemkit.core import forks
from tests.stand_ins import in_child


def test_action_runs_in_children() -> None:
    """What is registered happens in a child, and not in its parent."""
    seen: list[int] = []
    forks.in_child(lambda: seen.append(os.getpid()))
    assert ("1", []) == (in_child(lambda: str(len(seen))), seen)


def test_platform_that_never_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can fork there is nothing to register, and nothing to complain about."""
    monkeypatch.delattr(os, "register_at_fork")
    assert None is forks.in_child(pytest.fail)
