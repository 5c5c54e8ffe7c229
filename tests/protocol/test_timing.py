"""Tests of `idemkit.protocol.timing`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.protocol import beat_interval, doorbell_patience, retry_delay, validity

LEASES = st.floats(min_value=1, max_value=86_400)
JITTERS = st.floats(min_value=0, max_value=1)


def test_beat_interval() -> None:
    """A lease of half a minute is renewed every six seconds."""
    assert 6.0 == beat_interval(30)


@given(LEASES)
def test_four_beats_may_be_missed(lease: float) -> None:
    """The fifth beat still finds the lease alive."""
    assert pytest.approx(lease) == 5 * beat_interval(lease)


def test_validity() -> None:
    """Two percent and half a second go to clocks and networks."""
    assert pytest.approx(28.9) == validity(30)


@given(LEASES)
def test_validity_ends_before_the_lease(lease: float) -> None:
    """An owner whose clock is two percent slow stops trusting before the store does."""
    assert validity(lease) / 0.98 < lease


@given(LEASES)
def test_validity_of_a_lease_is_positive(lease: float) -> None:
    """Even the shortest lease of one second can be trusted for a while."""
    assert validity(lease) > 0


@pytest.mark.parametrize(
    ("left", "jitter", "seconds"), [(0, 0.0, 0.001), (999, 0.0, 1.0), (29_999, 1.0, 33.0)]
)
def test_doorbell_patience(left: int, jitter: float, seconds: float) -> None:
    """A waiter asks again one millisecond after the lease, or up to a tenth later."""
    assert pytest.approx(seconds) == doorbell_patience(left, jitter)


@given(st.integers(min_value=0, max_value=86_400_000), JITTERS)
def test_patience_outlasts_the_lease_by_a_tenth_at_most(left: int, jitter: float) -> None:
    """Nobody asks before the lease is over, and nobody waits much longer."""
    assert left / 1000 < doorbell_patience(left, jitter) <= (left + 1) / 1000 * 1.1


@pytest.mark.parametrize(
    ("attempt", "jitter", "seconds"),
    [(0, 0.0, 0.025), (0, 1.0, 0.05), (1, 1.0, 0.1), (4, 1.0, 0.8), (5, 1.0, 1.0), (60, 1.0, 1.0)],
)
def test_retry_delay(attempt: int, jitter: float, seconds: float) -> None:
    """Retries wait twice as long each time, a second at most, and half of it at random."""
    assert pytest.approx(seconds) == retry_delay(attempt, jitter)


@given(st.integers(min_value=0, max_value=1000), JITTERS)
def test_retry_delay_is_bounded(attempt: int, jitter: float) -> None:
    """However often something is retried, the pause stays within a second."""
    assert 0.025 <= retry_delay(attempt, jitter) <= 1.0
