"""The promises of a store, as tests that any store can inherit.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self) -> MyStore:
            return MyStore()

That is all for a store whose time cannot be set. A test that fails quotes the promise that was
broken; what is promised in full stands in the docstrings of `idemkit.stores.Store`.
"""

from pkgutil import iter_modules

import pytest

# Before they are imported, or a failure shows no values.
pytest.register_assert_rewrite(*(f"{__name__}.{part.name}" for part in iter_modules(__path__)))

from .bounded import BoundedStoreContract  # noqa: E402 - see above
from .contracts import ClockedStoreContract, StoreContract  # noqa: E402
from .pinned import PINNED, PINNED_AT, PinnedStoreContract  # noqa: E402
from .sequences import ClockedSequenceStoreContract, SequenceStoreContract  # noqa: E402

__all__ = [
    "PINNED",
    "PINNED_AT",
    "BoundedStoreContract",
    "ClockedSequenceStoreContract",
    "ClockedStoreContract",
    "PinnedStoreContract",
    "SequenceStoreContract",
    "StoreContract",
]
