"""Tests of `idemkit.core.verdict`: the words of a reconcile hook."""

from idemkit.core.verdict import Done, NotDone, Unknown


def test_verdicts_read_as_they_are_written() -> None:
    """A verdict shows in messages under the name its author typed."""
    assert "NotDone Unknown Done(value=3)" == f"{NotDone!r} {Unknown!r} {Done(3)!r}"
