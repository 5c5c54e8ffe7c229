"""The example of a store keeps the promises of a store; broken, it is told which it broke."""

from pathlib import Path

import pytest

from examples.toy_store import ToyStore
from idemkit.testing import ClockedStoreContract, FakeClock

pytest_plugins = ["pytester"]

BROKEN = '''
import asyncio

import pytest

from examples.toy_store import ToyStore
from idemkit.testing import StoreContract


class TestHastyStore(StoreContract):
    """A store that checks first and sets afterwards, with time in between for all others."""

    @pytest.fixture(params=["async"])
    def caller(self, request):
        return request.param

    @pytest.fixture
    def store(self):
        class HastyStore(ToyStore):
            colour = "async"

            async def claim(self, address, command, /):
                before = self._records.get(address)
                await asyncio.sleep(0)
                self._records[address] = before
                return await super().claim(address, command)

        return HastyStore()


class TestTrustingStore(StoreContract):
    """A store that lets anybody complete, whatever token they show."""

    @pytest.fixture
    def store(self):
        class TrustingStore(ToyStore):
            async def complete(self, address, command, /):
                record = self._records.get(address)
                token = command.grant.token if record is None else record.token
                grant = command.grant._replace(token=token)
                return await super().complete(address, command._replace(grant=grant))

        return TrustingStore()
'''


class TestToyStore(ClockedStoreContract):
    """Records in a dictionary."""

    @pytest.fixture
    def store(self, clock: FakeClock) -> ToyStore:
        """Return an empty store."""
        return ToyStore(clock.milliseconds)


def test_toy_store_on_the_usual_clock() -> None:
    """Without a clock of its own it takes this machine's."""
    assert ToyStore()._clock() > 1_600_000_000_000


def test_toy_store_is_small() -> None:
    """A store of your own is sixty lines."""
    source = Path(__file__).parents[2] / "examples" / "toy_store.py"
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize(
    ("store", "test", "promise", "detail"),
    [
        (
            "Hasty",
            "one_of_many_at_once_is_granted",
            "Claims are atomic: of fifty callers at once, one runs.",
            "assert 1 == 50",
        ),
        (
            "Trusting",
            "superseded_owner_records_nothing",
            "A late owner that was replaced is told so, and the winner's outcome stands.",
            "superseded",
        ),
    ],
)
def test_broken_store_is_told_which_promise_it_broke(
    pytester: pytest.Pytester, store: str, test: str, promise: str, detail: str
) -> None:
    """A failure quotes the promise, and shows what came instead."""
    pytester.makepyfile(BROKEN)
    result = pytester.runpytest("-k", f"{store} and {test}", "-p", "no:cacheprovider")
    output = result.stdout.str()
    assert (True, True) == (f"broken promise: {promise}" in output, detail in output)
