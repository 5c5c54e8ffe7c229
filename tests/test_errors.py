"""Tests of `idemkit.errors`: the tree, what each error carries, and that it travels."""

import copy
import pickle
import re
from collections.abc import Callable

import pytest

from idemkit import errors
from idemkit.errors import (
    ClaimLostError,
    IdemkitDeprecationWarning,
    IdemkitWarning,
    IdempotencyError,
    InDoubtError,
    InProgressError,
    KeyReusedError,
    MaxRunExceededError,
    NonDeterministicStepError,
    PoisonedError,
    RecordedError,
    ReentrantCallError,
    ResultError,
    ResultNotSerializableError,
    ResultUnavailableError,
    ResultUnreadableError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    StoreVersionError,
)

STATUSES: dict[type[IdempotencyError], int] = {
    IdempotencyError: 500,
    InProgressError: 409,
    KeyReusedError: 422,
    InDoubtError: 409,
    ClaimLostError: 409,
    NonDeterministicStepError: 500,
    PoisonedError: 409,
    ReentrantCallError: 500,
    MaxRunExceededError: 504,
    ResultError: 500,
    ResultNotSerializableError: 500,
    ResultUnavailableError: 409,
    ResultUnreadableError: 500,
    RecordedError: 500,
    StoreError: 503,
    StoreUnavailableError: 503,
    StoreFullError: 503,
    StoreVersionError: 503,
}

PARENTS: dict[type[Exception], tuple[type[Exception], ...]] = {
    IdempotencyError: (Exception,),
    InProgressError: (IdempotencyError,),
    KeyReusedError: (IdempotencyError,),
    InDoubtError: (IdempotencyError,),
    ClaimLostError: (IdempotencyError,),
    NonDeterministicStepError: (IdempotencyError,),
    PoisonedError: (IdempotencyError,),
    ReentrantCallError: (IdempotencyError,),
    MaxRunExceededError: (IdempotencyError, TimeoutError),
    ResultError: (IdempotencyError,),
    ResultNotSerializableError: (ResultError, TypeError),
    ResultUnavailableError: (ResultError,),
    ResultUnreadableError: (ResultError,),
    RecordedError: (IdempotencyError,),
    StoreError: (IdempotencyError,),
    StoreUnavailableError: (StoreError,),
    StoreFullError: (StoreUnavailableError,),
    StoreVersionError: (StoreError,),
    IdemkitWarning: (UserWarning,),
    IdemkitDeprecationWarning: (IdemkitWarning,),
}

EACH = pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.__name__)
TRAVELS = pytest.mark.parametrize(
    "travel",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],  # noqa: S301 - our own bytes
)


def test_no_error_is_left_out() -> None:
    """What the module offers is what is tested here."""
    assert sorted(kind.__name__ for kind in PARENTS) == sorted(errors.__all__)


@pytest.mark.parametrize(("kind", "parents"), PARENTS.items())
def test_parents(kind: type[Exception], parents: tuple[type[Exception], ...]) -> None:
    """Each error can be caught as what it is."""
    assert parents == kind.__bases__


def drawn() -> dict[str, str]:
    """Return each error's parent as the drawing at the top of the module has it."""
    path, parents = ["IdempotencyError"], dict[str, str]()
    margin, _, drawing = (errors.__doc__ or "").partition("IdempotencyError\n")
    indent = len(margin) - len(margin.rstrip(" "))
    for branches, name in re.findall(r"^([│ ]*)[├└]── (\w+)", drawing, re.MULTILINE):
        depth = (len(branches) - indent) // 4 + 1
        path[depth:] = [name]
        parents[name] = path[depth - 1]
    return parents


def test_drawing_is_true() -> None:
    """The tree in the docstring is the tree of classes."""
    real = {kind.__name__: PARENTS[kind][0].__name__ for kind in STATUSES}
    del real["IdempotencyError"]
    assert real == drawn()


@EACH
def test_status(kind: type[IdempotencyError]) -> None:
    """Each error says which HTTP status fits it."""
    assert STATUSES[kind] == kind("text").status


@EACH
def test_text_without_a_key(kind: type[IdempotencyError]) -> None:
    """Where no key is known, the text is the message."""
    assert ("text", None) == (str(kind("text")), kind("text").key)


@EACH
def test_text_with_a_key(kind: type[IdempotencyError]) -> None:
    """Where a key is known, people see it."""
    error = kind("text", key="op@1:abc")
    assert ("text [key op@1:abc]", "op@1:abc") == (str(error), error.key)


@EACH
def test_only_the_message_is_positional(kind: type[IdempotencyError]) -> None:
    """Everything else is named."""
    with pytest.raises(TypeError, match="positional"):
        kind("text", "op@1:abc")  # type: ignore[misc]


@EACH
@TRAVELS
def test_error_travels(
    kind: type[IdempotencyError], travel: Callable[[IdempotencyError], IdempotencyError]
) -> None:
    """A copy, also one in another process, is of the same type, text, key and status."""
    error = kind("text", key="op@1:abc")
    there = travel(error)
    assert (kind, str(error), "op@1:abc", error.status) == (
        type(there),
        str(there),
        there.key,
        there.status,
    )


@TRAVELS
def test_notes_travel(travel: Callable[[IdempotencyError], IdempotencyError]) -> None:
    """What was added to an error comes along."""
    error = KeyReusedError("text")
    error.add_note("look here")
    assert ["look here"] == travel(error).__notes__


@TRAVELS
def test_retry_after_travels(travel: Callable[[InProgressError], InProgressError]) -> None:
    """So does the time after which asking again makes sense."""
    error = InProgressError("text", key="k", retry_after=1.5)
    assert (1.5, "k") == (travel(error).retry_after, travel(error).key)


@TRAVELS
def test_recorded_error_travels(travel: Callable[[RecordedError], RecordedError]) -> None:
    """So do the type and the text of the failure that was recorded."""
    there = travel(RecordedError("text", type_name="pkg.Error", text="it said", key="k"))
    assert ("pkg.Error", "it said", "k") == (there.type_name, there.text, there.key)


def test_unless_told_otherwise() -> None:
    """Nobody knows when to ask again, nor what was recorded."""
    recorded = RecordedError("text")
    assert (None, "", "") == (
        InProgressError("text").retry_after,
        recorded.type_name,
        recorded.text,
    )
