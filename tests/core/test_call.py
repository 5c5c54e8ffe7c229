"""Tests of `idemkit.core.call`: keys that say nothing, and tokens that nobody else has."""

from collections.abc import Callable
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


def ask(question: str, *more: str, temperature: float = 0.0, **rest: int) -> None:
    """Take arguments of every kind."""


@pytest.mark.parametrize(
    ("args", "kwargs", "arguments"),
    [
        (("why",), {}, {"question": "why", "more": (), "temperature": 0.0, "rest": {}}),
        (
            ("why", "oh"),
            {"temperature": 1.0, "seed": 1},
            {
                "question": "why",
                "more": ("oh",),
                "temperature": 1.0,
                "rest": {"seed": 1},
                "seed": 1,
            },
        ),
    ],
    ids=["defaults", "all"],
)
def test_arguments_by_name(
    args: tuple[str, ...], kwargs: dict[str, object], arguments: dict[str, object]
) -> None:
    """What was left out has its default."""
    call = Call("ask", "ask@1:", "5eed", b"", None, args, kwargs, ask)
    assert arguments == call.arguments


@pytest.mark.parametrize("function", [None, len], ids=["unknown", "another's"])
def test_arguments_of_no_function(function: Callable[..., object] | None) -> None:
    """Those that were passed by name are all that is known."""
    call = Call("ask", "ask@1:", "5eed", b"", None, (), {"seed": 1}, function)
    assert {"seed": 1} == call.arguments


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
