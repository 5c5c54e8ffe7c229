"""Tests of `idemkit.stores.base`: what a store does that defines only its verbs."""

import pytest

from idemkit import stores
from idemkit.core.colour import drive
from idemkit.stores import Store
from idemkit.stores.redis import RedisStore


class Bare(Store):
    """A store without a method of its own."""

    name = "bare"
    colour = "any"


def test_redis_store_is_offered_beside_the_others() -> None:
    """It is loaded for who asks for it."""
    assert RedisStore is stores.RedisStore


def test_no_other_store_is_offered() -> None:
    """What is not there is missed as on any module."""
    with pytest.raises(AttributeError, match="has no attribute 'MongoStore'"):
        stores.MongoStore  # noqa: B018 - the look is the test


def test_one_face_for_all() -> None:
    """A store is its own face for either colour."""
    store = Bare()
    assert (store, store) == (store.face("sync"), store.face("async"))


def test_nothing_is_recalled() -> None:
    """A store that keeps nothing in the process knows nothing without asking."""
    assert None is Bare().recall("a", b"fingerprint")


def test_nothing_is_looked_up() -> None:
    """Nor can it answer for many at once: each call asks for itself."""
    assert [None, None] == drive(Bare().look_up([("a", b""), ("b", b"")]))


@pytest.mark.parametrize("step", [Store.open, Store.close])
def test_nothing_to_open_or_close(step: object) -> None:
    """A store without connections may be opened and closed, and does not suspend."""
    assert None is drive(step(Bare()))  # type: ignore[operator]


@pytest.mark.parametrize("verb", ["append", "read", "cancel"])
def test_no_sequences_unless_it_says_so(verb: str) -> None:
    """A store without sequences need not spell out their verbs."""
    arguments: dict[str, tuple[object, ...]] = {"cancel": ()}
    with pytest.raises(NotImplementedError, match="bare"):
        drive(getattr(Bare(), verb)("a", *arguments.get(verb, (None,))))
    assert not Bare.sequences


def test_nothing_to_drop_after_a_fork() -> None:
    """A store that shares nothing with its parent goes on as it is."""
    store = Bare()
    before = vars(store).copy()
    store.after_fork()
    assert before == vars(store)
