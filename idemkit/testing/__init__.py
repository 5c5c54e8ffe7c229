"""Test what you build on idemkit: clocks, faults, and the contract of a store."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import faults
    from .clock import FakeClock
    from .contract import (
        PINNED,
        PINNED_AT,
        BoundedStoreContract,
        ClockedSequenceStoreContract,
        ClockedStoreContract,
        PinnedStoreContract,
        SequenceStoreContract,
        StoreContract,
    )
    from .faults import FaultyStore
    from .replays import ReplayCheck

__all__ = [
    "PINNED",
    "PINNED_AT",
    "BoundedStoreContract",
    "ClockedSequenceStoreContract",
    "ClockedStoreContract",
    "FakeClock",
    "FaultyStore",
    "PinnedStoreContract",
    "ReplayCheck",
    "SequenceStoreContract",
    "StoreContract",
    "faults",
]

_HOMES = {"FakeClock": "clock", "FaultyStore": "faults", "ReplayCheck": "replays"}


def __getattr__(name: str) -> Any:
    # Pytest loads this package before every run of its users' tests: it must cost them nothing.
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    if name == "faults":
        return importlib.import_module(f"{__name__}.faults")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'contract')}"), name)
