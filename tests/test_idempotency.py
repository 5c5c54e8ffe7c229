"""`Idempotency` hands its settings to every operation, and `configure` makes one the default."""

import asyncio
import inspect
from datetime import timedelta
from typing import Any

import pytest

from idemkit import Idempotency, configure, idempotent, operation
from idemkit.codecs import TypedCodec
from idemkit.core.policy import Policy
from idemkit.stores import MemoryStore
from idemkit.testing import FakeClock, FaultyStore


@pytest.fixture(autouse=True)
def default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process have no default configuration, before and after."""
    monkeypatch.delenv("IDEMKIT_STORE", raising=False)
    monkeypatch.setattr(operation, "_default", None)


SETTINGS: dict[str, Any] = {
    "ttl": 60.0,
    "lease": 5.0,
    "on_duplicate": "reject",
    "wait": 3.0,
    "on_abandoned": "raise",
    "on_store_error": "run",
    "max_attempts": 2,
    "max_run": 10.0,
    "max_bytes": 100,
    "durability": "replicated",
}


def test_defaults_are_the_policys() -> None:
    """What nobody says is said once."""
    assert Policy() == Idempotency().policy


def test_settings_reach_the_policy() -> None:
    """Every setting is the default of every operation."""
    assert Policy(**SETTINGS) == Idempotency(**SETTINGS).policy


def test_operation_refines_the_settings() -> None:
    """What an operation says outranks what its configuration says."""
    clock = FakeClock()
    idem = Idempotency(MemoryStore(clock=clock.milliseconds), ttl=timedelta(days=1))
    runs: list[int] = []
    pay = idem.idempotent(ttl=10)(lambda: runs.append(1))
    pay()
    clock.advance(11)
    pay()
    assert 2 == len(runs)


def test_namespaces_keep_keys_apart() -> None:
    """Applications that share a store do not share outcomes."""
    store = MemoryStore()
    shops = [Idempotency(store, namespace=name) for name in ("a", "b", "a")]
    keys = [shop.idempotent(name="pay")(lambda: None).key() for shop in shops]
    assert (True, False) == (keys[0] == keys[2], keys[0] == keys[1])


@pytest.mark.parametrize("size", [-1, True, 1.5, "many"], ids=repr)
def test_near_cache_is_a_number_of_records(size: Any) -> None:
    """A cache of no size is a mistake."""
    with pytest.raises(ValueError, match="near_cache must be a number of records"):
        Idempotency(near_cache=size)


def test_near_cache_recalls() -> None:
    """With a near cache, a far store is asked for one replay, and no more after that."""
    store = FaultyStore(MemoryStore(), "sync")
    store.recall = lambda *_: None  # type: ignore[method-assign]
    pay = Idempotency(store, near_cache=10).idempotent(lambda: "paid")
    assert (["paid"] * 4, ["claim", "complete", "claim"]) == ([pay() for _ in "1234"], store.sent)


def test_codec_must_be_one() -> None:
    """A class is no codec."""
    with pytest.raises(TypeError, match="codec must be an object"):
        Idempotency(codec=TypedCodec)  # type: ignore[arg-type]


def test_unknown_store_is_refused() -> None:
    """A URL of no known store is a mistake."""
    with pytest.raises(ValueError, match="no store for the URL scheme 'carrier-pigeon'"):
        Idempotency("carrier-pigeon://loft")


def test_bare_and_called_decorators_are_one() -> None:
    """With and without parentheses it is the same decorator."""
    idem = Idempotency()

    def pay() -> None: ...

    assert idem.idempotent(pay).key() == idem.idempotent()(pay).key()


# ---------------------------------------------------------------------------- lifetime


def closed(scene: Any) -> list[str]:
    """Return what a scene sent to a store after its first verb."""
    store = FaultyStore(MemoryStore(), "sync")
    scene(Idempotency(store))
    return store.sent


def test_open_checks_the_store() -> None:
    """`open` asks the store now what it would else be asked at the first call."""
    assert ["open"] == closed(lambda idem: idem.open())


def test_aopen_checks_the_store() -> None:
    """`aopen` does so from an event loop."""
    assert ["open"] == closed(lambda idem: asyncio.run(idem.aopen()))


def test_close_closes_the_store() -> None:
    """`close` gives the store's connections back."""
    assert ["close"] == closed(lambda idem: idem.close())


def test_aclose_closes_the_store() -> None:
    """`aclose` does so from an event loop."""
    assert ["close"] == closed(lambda idem: asyncio.run(idem.aclose()))


def test_with_closes_at_its_end() -> None:
    """The block gets the `Idempotency`, and closes it."""
    idem = Idempotency(store := FaultyStore(MemoryStore(), "sync"))
    with idem as entered:
        assert (idem, []) == (entered, store.sent)
    assert ["close"] == store.sent


def test_async_with_closes_at_its_end() -> None:
    """So does the asynchronous one."""
    idem = Idempotency(store := FaultyStore(MemoryStore(), "async"))

    async def scene() -> None:
        async with idem as entered:
            assert (idem, []) == (entered, store.sent)

    asyncio.run(scene())
    assert ["close"] == store.sent


def test_call_after_close_works() -> None:
    """A later call reopens what was closed."""
    idem = Idempotency()
    pay = idem.idempotent(lambda: "paid")
    idem.close()
    assert "paid" == pay()


# ---------------------------------------------------------------------------- configure


def test_configure_takes_hold_after_decoration() -> None:
    """A function that was decorated before follows the new default."""
    runs: list[int] = []
    pay = idempotent(name="pay")(lambda: runs.append(1))
    pay()
    first = len(runs)
    configure(namespace="other")
    pay()
    assert (1, 2) == (first, len(runs))


def test_configure_returns_what_to_close() -> None:
    """Whoever configures gets the `Idempotency` in force."""
    idem = configure("memory://", ttl=60)
    assert (operation.default(), 60.0) == (idem, idem.policy.ttl)


def test_configure_refuses_nonsense() -> None:
    """A default that cannot be is refused, and the one before stays."""
    before = configure()
    with pytest.raises(ValueError, match="lease must be at least 1 s"):
        configure(lease=0)
    assert before is operation.default()


def test_configure_has_the_parameters_of_idempotency() -> None:
    """Both take the same settings, under a name and a docstring of their own."""
    assert ("configure", "Set what a bare", inspect.signature(Idempotency).parameters) == (
        configure.__name__,
        (configure.__doc__ or "")[:15],
        inspect.signature(configure).parameters,
    )
