"""A Redis store at one address, and the keys that it keeps there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from idemkit.core.colour import drive
from idemkit.protocol import Decision, Entry, Grant, Page, Read, Record, Standing
from idemkit.stores.redis import RedisStore
from idemkit.testing.contract.commands import append
from tests.commands import OTHER, beat, claim, completion, grant, release, step
from tests.servers import CALLED_BY_SCRIPTS, Server


@dataclass(frozen=True)
class Keys:
    """A store at one address, and the keys that it keeps there.

    Args:
        store: The store.
        server: Where they are.
        stem: What their names begin with.
    """

    store: RedisStore
    server: Server
    stem: str

    @property
    def record(self) -> str:
        """Return the name of the record's key."""
        return f"{self.stem}r"

    @property
    def journal(self) -> str:
        """Return the name of the journal's key."""
        return f"{self.stem}j"

    @property
    def stream(self) -> str:
        """Return the name of the key of the chunks."""
        return f"{self.stem}s"

    def claim(self, token: bytes = OTHER, **terms: Any) -> Decision:
        """Claim."""
        return drive(self.store.claim("a", claim(token, **terms)))

    def own(self, **terms: Any) -> Grant:
        """Claim, and return what is then held."""
        command = claim(**terms)
        return grant(command, drive(self.store.claim("a", command)))

    def step(self, owned: Grant, *entries: Entry) -> Standing:
        """Write into the journal."""
        return drive(self.store.step("a", step(owned, *entries)))

    def append(self, owned: Grant, *chunks: bytes, first: int = 1) -> Standing:
        """Append chunks."""
        return drive(self.store.append("a", append(owned, *chunks, first=first)))

    def read(self, **wanted: int) -> Page:
        """Read chunks."""
        return drive(self.store.read("a", Read(**wanted)))

    def cancel(self) -> bool:
        """Ask the owner to stop."""
        return drive(self.store.cancel("a"))

    def beat(self, owned: Grant) -> Standing:
        """Renew the lease."""
        return self.store.beat([("a", beat(owned))])[0]

    def complete(self, owned: Grant, **more: Any) -> Standing:
        """Complete, and unless told otherwise leave an outcome that is stale at once."""
        command = completion(owned, ttl=0, stale=60_000)._replace(**more)
        return drive(self.store.complete("a", command))

    def release(self, owned: Grant, *, in_doubt: bool = False) -> Standing:
        """Give the claim back."""
        return drive(self.store.release("a", release(owned, in_doubt=in_doubt, retention=500_000)))

    def forget(self) -> None:
        """Forget."""
        drive(self.store.forget("a", 60_000))

    def seen(self) -> Record:
        """Return the record, which must be there."""
        seen = drive(self.store.peek("a"))
        assert seen is not None
        return seen[0]

    def end(self, key: str) -> int:
        """Return when the server will drop a key."""
        return int(self.server.do("PEXPIRETIME", key))

    def called(self, act: Callable[[], Any]) -> dict[str, int]:
        """Return how often scripts call each command in the server while something is done."""
        self.server.do("CONFIG", "RESETSTAT")
        act()
        with self.server.client() as client:
            statistics = client.info("commandstats")
        counts = {name.removeprefix("cmdstat_"): each["calls"] for name, each in statistics.items()}
        return {name: count for name, count in counts.items() if name in CALLED_BY_SCRIPTS}


def long(owned: Grant) -> Grant:
    """Return a grant of the same owner whose record is kept for longer."""
    return owned._replace(terms=claim(retention=900_000).terms)


def abandon(keys: Keys, owned: Grant) -> None:
    """Leave a claim to the next one, who takes it over."""
    keys.release(owned, in_doubt=True)
    keys.claim(retention=800_000)


def heal(act: Callable[[Keys, Grant], Any]) -> Callable[[Keys, Grant], Any]:
    """Return what loses a record, but nothing beside it, before it acts."""

    def lose_and_act(keys: Keys, owned: Grant) -> None:
        keys.server.do("DEL", keys.record)
        act(keys, owned)

    return lose_and_act
