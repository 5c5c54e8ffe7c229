"""Tests of `idemkit.core.call`: keys that say nothing, and tokens that nobody else has."""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest

from idemkit.core.call import Call, Outcome, new_token
from tests.stand_ins import in_child


def test_key_is_operation_version_and_digest() -> None:
    """A call's key names its operation and a digest, and so none of its arguments."""
    assert "shop.pay@2:5eed" == Call("shop.pay", "shop.pay@2:", "5eed", b"payload").key


def test_call_does_not_print_its_arguments() -> None:
    """Hooks may look at the arguments; a log that shows the call shows none of them."""
    call = Call("shop.pay", "shop.pay@2:", "5eed", b"payload", None, ("secret",), {"card": "4111"})
    assert (("secret",), {"card": "4111"}) == (call.args, call.kwargs)
    assert "<Call shop.pay@2:5eed>" == repr(call)


def test_tokens_differ() -> None:
    """No two calls of a process share a token."""
    assert 1000 == len({new_token() for _ in range(1000)})


def test_token_has_the_length_that_stores_expect() -> None:
    """A token is sixteen bytes."""
    assert 16 == len(new_token())


def test_tokens_of_a_forked_child_are_its_own() -> None:
    """A child does not go on counting where its parent does."""
    assert new_token()[:10].hex() != in_child(lambda: bytes.hex(new_token()[:10]))


def test_outcome_cannot_be_changed() -> None:
    """What came of a call is a fact."""
    now = datetime.now(UTC)
    outcome = Outcome(1, "executed", "key", 1, True, now, None, None)
    with pytest.raises(FrozenInstanceError):
        outcome.value = 2  # type: ignore[misc]
