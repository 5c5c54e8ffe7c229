"""The contracts that most stores are held to, put together from their parts."""

from .claims import Claims
from .clocked import Times
from .doorbells import Doorbells
from .endings import Endings
from .journals import Journals
from .outcomes import Outcomes
from .owners import Owners

__all__ = ["ClockedStoreContract", "StoreContract"]


class StoreContract(Claims, Outcomes, Owners, Endings, Journals, Doorbells):
    """What every store promises, to synchronous and asynchronous callers.

    Add a fixture `store`: an empty store, or one in which nobody else uses the addresses of a test
    ("a" to "c", and a few words). A store that serves one colour only overrides `caller` too, with
    that colour as its only parameter.
    """


class ClockedStoreContract(Times, StoreContract):
    """What a store promises whose clock can be set: every time holds to the millisecond.

    Let the fixture `store` return one that uses the fixture `clock`, a `FakeClock`.
    """
