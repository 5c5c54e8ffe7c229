"""Tests of `idemkit.core.policy`: every setting is checked where it is written."""

from datetime import timedelta
from typing import Any

import pytest

from idemkit.core.policy import SETTINGS, Policy, seconds
from idemkit.protocol import Terms
from tests.core.worlds import CALL

NAN = float("nan")
WRONG_VALUES: list[dict[str, Any]] = [
    {"lease": 0.5},
    {"lease": float("inf")},
    {"lease": NAN},
    {"ttl": -1},
    {"wait": timedelta(seconds=-1)},
    {"max_run": NAN},
    {"stale_if_error": -0.1},
    {"on_duplicate": "ignore"},
    {"on_store_error": "ignore"},
    {"on_abandoned": "ignore"},
    {"durability": "eternal"},
    {"max_attempts": 0},
    {"max_attempts": True},
    {"max_bytes": 1.5},
]
WRONG_TYPES: list[dict[str, Any]] = [
    {"lease": "30"},
    {"lease": True},
    {"ttl": None},
    {"wait": "forever"},
    {"max_run": print},
    {"record_errors": ValueError},
    {"record_errors": [ValueError]},
    {"record_errors": (1,)},
    {"record_errors": (int,)},
]


@pytest.mark.parametrize("settings", WRONG_VALUES, ids=str)
def test_value_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    """A setting that makes no sense is refused, by name, before anything is guarded with it."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        Policy(**settings)


@pytest.mark.parametrize("settings", WRONG_TYPES, ids=str)
def test_value_of_another_type_is_refused(settings: dict[str, Any]) -> None:
    """A setting of the wrong type is refused by name."""
    with pytest.raises(TypeError, match=next(iter(settings))):
        Policy(**settings)


def test_durations_become_seconds() -> None:
    """A timedelta is as good as a number."""
    minute = timedelta(minutes=1)
    policy = Policy(ttl=minute, lease=minute, wait=minute, max_run=minute, stale_if_error=minute)
    assert [60.0] * 5 == [
        policy.ttl_of(CALL),
        policy.lease,
        policy.patience,
        policy.max_seconds,
        policy.stale_seconds,
    ]


@pytest.mark.parametrize(
    ("settings", "patience"),
    [({}, None), ({"wait": 3}, 3.0), ({"wait": 3, "on_duplicate": "reject"}, 0.0)],
    ids=str,
)
def test_patience(settings: dict[str, Any], patience: float | None) -> None:
    """A duplicate waits as long as it was told, and one that is to be rejected not at all."""
    assert patience == Policy(**settings).patience


def test_body_may_run_on_unless_told() -> None:
    """Nobody's body is stopped by default."""
    assert Policy().max_seconds is None


def test_ttl_may_depend_on_the_call() -> None:
    """A callable is asked, and may answer with a timedelta."""
    policy = Policy(ttl=lambda call: timedelta(seconds=len(call.fingerprint)))
    assert float(len(CALL.fingerprint)) == policy.ttl_of(CALL)


def test_ttl_of_a_callable_is_checked_too() -> None:
    """A callable's answer is held to the rules that a number is held to."""
    with pytest.raises(ValueError, match="ttl"):
        Policy(ttl=lambda _call: -1).ttl_of(CALL)


@pytest.mark.parametrize(
    ("on_abandoned", "take_over"), [("retry", True), ("raise", False), (print, True)]
)
def test_terms_are_what_the_store_is_told(on_abandoned: Any, take_over: bool) -> None:
    """The claim carries milliseconds, and whether an abandoned attempt may be taken over."""
    policy = Policy(lease=2.5, on_abandoned=on_abandoned, max_attempts=3, durability="fsynced")
    expected = Terms(lease=2500, take_over=take_over, max_attempts=3, durability="fsynced")
    assert expected == policy.terms


def test_seconds_keeps_the_least() -> None:
    """The smallest duration that is allowed is allowed."""
    assert 1.0 == seconds(1, "lease", least=1.0)


def test_settings_are_what_a_user_can_set() -> None:
    """Derived fields are no settings."""
    assert {"lease"} == SETTINGS & {"lease", "terms"}
