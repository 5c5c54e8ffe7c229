"""Tests of `idemkit.core.ending`: what a plain function makes of a recorded sequence."""

import pytest

from idemkit.core.ending import opened
from idemkit.core.policy import Policy
from idemkit.errors import ResultUnavailableError, ResultUnreadableError
from idemkit.protocol import Kind, Recorded
from tests.core.worlds import CALL, CODEC

SEQUENCE = Recorded(Kind.SEQUENCE, CODEC.name, b"7-3", "", 1, 1_000, 61_000, 61_000)


def test_sequence_is_unreadable_for_a_plain_function() -> None:
    """A key whose generator has become a function says so, and runs nothing."""
    with pytest.raises(ResultUnreadableError, match="recorded by a generator") as caught:
        opened(CALL, SEQUENCE, CODEC, Policy())
    assert CALL.key == caught.value.key


def test_incomplete_sequence_is_unavailable() -> None:
    """A duplicate learns that it ran, and that it is the store which lost a part."""
    with pytest.raises(ResultUnavailableError, match="its store has lost a part") as caught:
        opened(CALL, SEQUENCE._replace(kind=Kind.INCOMPLETE), CODEC, Policy())
    assert CALL.key == caught.value.key
