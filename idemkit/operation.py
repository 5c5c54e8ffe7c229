"""What a user configures once: a store, its defaults, and the engines that stand on them."""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from .core.colour import ASYNC, SYNC, drive, pair
from .core.engine import Engine
from .core.feeds import Feeds
from .core.flights import Flights
from .core.forks import in_child
from .core.lease import keeper
from .core.policy import SETTINGS, Policy
from .core.wiring import Wiring
from .errors import IdemkitWarning
from .producers import wind_up
from .stores.memory import MemoryStore
from .stores.near import NearStore
from .stores.urls import store_from_url

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import FunctionType
    from typing import Self

    from .core.codecs import Codec
    from .stores.base import Caller, Store

__all__ = ["Configuration", "Names", "checked_codec", "default", "set_default"]

STORE_VARIABLE: Final = "IDEMKIT_STORE"


class Configuration:
    """A store, a namespace and the defaults of every operation guarded through it.

    Args:
        store: A store, a URL, or None: what `$IDEMKIT_STORE` names, else this process's memory.
        namespace: Keeps the keys of applications that share a store apart.
        codec: Makes bytes of results, unless an operation names its own.
        near_cache: How many finished outcomes of a far store to keep in this process.
        settings: Defaults of `Policy`.
    """

    def __init__(
        self,
        store: Store | str | None,
        *,
        namespace: str,
        codec: Codec | None,
        near_cache: int,
        settings: Mapping[str, Any],
    ) -> None:
        self.namespace: str = namespace
        self.codec: Codec | None = checked_codec(codec)
        self.policy: Policy = Policy(**settings)
        self.names: Names = Names()
        self.store: Store = _opened(store, near_cache)
        self._flights = Flights()
        self._feeds = Feeds()
        self._engines: dict[Caller, Engine] = {}
        _configurations.add(self)

    def engine(self, caller: Caller) -> Engine:
        """Return the engine for callers of this colour.

        Raises:
            TypeError: The store cannot serve them.
        """
        engine = self._engines.get(caller)
        if engine is None:
            engine = self._engines.setdefault(caller, self._engine(caller))
        return engine

    @property
    def engines(self) -> Collection[Engine]:
        """The engines in use."""
        return self._engines.values()

    def check_sequences(self, whom: str) -> None:
        """Refuse what needs sequences on a store that has none.

        Raises:
            TypeError: It has none.
        """
        if not self.store.sequences:
            message = f"store {self.store.name!r} does not keep sequences, which {whom} needs"
            raise TypeError(message)

    def refined(self, settings: Mapping[str, Any]) -> Policy:
        """Return the default policy with an operation's own settings on top."""
        own = {name: value for name, value in settings.items() if name in SETTINGS}
        return replace(self.policy, **own) if own else self.policy

    def open(self) -> None:
        """Connect to the store and check it now, rather than at the first call.

        Raises:
            StoreUnavailableError: It does not answer.
            StoreVersionError: Its server is of an unsupported version.
        """
        drive(pair(self.store, "sync").open())

    async def aopen(self) -> None:
        """Connect to the store and check it now, as `open` does, for callers with an event loop."""
        await pair(self.store, "async").open()

    def close(self) -> None:
        """Close the store's connections and files; a later call reopens them.

        Generators of this process that go on without readers are waited for, until their `max_run`
        is over, or 10 s if they have none, and are then asked to stop.
        """
        drive(wind_up(self.engines, SYNC))
        drive(pair(self.store, "sync").close())

    async def aclose(self) -> None:
        """Close the store's connections and files as `close` does, for an event loop."""
        await wind_up(self.engines, ASYNC)
        await pair(self.store, "async").close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _engine(self, caller: Caller) -> Engine:
        wiring = Wiring(
            store=pair(self.store, caller),
            frame=SYNC if caller == "sync" else ASYNC,
            flights=self._flights,
            feeds=self._feeds,
            keeper=keeper,
            parting=self._parting(),
        )
        return Engine(wiring)

    def _parting(self) -> Store | None:
        try:
            return pair(self.store, "sync")
        except TypeError:
            return None

    def _after_fork(self) -> None:
        self._flights.clear()
        self._feeds.clear()
        self.store.after_fork()


class Names:
    """The default names in use, so that no two functions come to share one by accident."""

    def __init__(self) -> None:
        self._functions: dict[str, weakref.ref[FunctionType]] = {}

    def register(self, name: str, function: FunctionType) -> None:
        """Take note that `function` goes by its default name.

        Raises:
            ValueError: Another function goes by it already.

        Warns:
            IdemkitWarning: It is the same function, closed over other values.
        """
        reference = self._functions.setdefault(name, weakref.ref(function))
        known = reference()
        if known is None or known is function or _another_cell(known, function):
            pass
        elif known.__code__ == function.__code__:
            _warn_of_captured(name, known, function)
        else:
            line = known.__code__.co_firstlineno
            del known
            gc.collect()  # a cell or module that was run again leaves its old functions as garbage
            if reference() is not None:
                raise ValueError(_clash(name, line, function.__code__.co_firstlineno))
        self._functions[name] = weakref.ref(function)


def _another_cell(known: FunctionType, function: FunctionType) -> bool:
    """Say whether a notebook's cell was edited and run again: each run is a file of its own."""
    return known.__code__.co_filename != function.__code__.co_filename


def _clash(name: str, line: int, other: int) -> str:
    return (
        f"two different functions would share the name {name!r} (lines {line} and {other}) and so "
        "each other's results; pass name=..."
    )


def _warn_of_captured(name: str, known: FunctionType, function: FunctionType) -> None:
    captured = [
        variable
        for variable, old, new in zip(
            function.__code__.co_freevars,
            known.__closure__ or (),
            function.__closure__ or (),
            strict=True,
        )
        if old != new
    ]
    if captured:
        message = (
            f"{name} was created again over other values of {', '.join(captured)}, which are in "
            "no key: pass them as arguments, or pass name=... to keep the two apart"
        )
        # At the function's own line, however the decorator came to be called.
        warnings.warn_explicit(
            message,
            IdemkitWarning,
            function.__code__.co_filename,
            function.__code__.co_firstlineno,
            registry=function.__globals__.setdefault("__warningregistry__", {}),
        )


def checked_codec(codec: Codec | None) -> Codec | None:
    """Refuse what is no codec, such as the class of one.

    Raises:
        TypeError: It is neither a codec nor None.
    """
    words = (getattr(codec, word, None) for word in ("encode", "decode"))
    if codec is None or (all(map(callable, words)) and not isinstance(codec, type)):
        return codec
    message = f"codec must be an object with a name, encode() and decode(), not {codec!r}"
    raise TypeError(message)


def _opened(store: Store | str | None, near_cache: int) -> Store:
    if isinstance(near_cache, bool) or not isinstance(near_cache, int) or near_cache < 0:
        message = f"near_cache must be a number of records, not {near_cache!r}"
        raise ValueError(message)
    if store is None:
        store = os.environ.get(STORE_VARIABLE) or _memory()
    if isinstance(store, str):
        store = store_from_url(store)
    return NearStore(store, size=near_cache) if near_cache else store


def _memory() -> Store:
    if _several_processes():
        message = (
            "several worker processes seem to run, and each remembers its own calls only; give "
            f"them a store they share: Idempotency('sqlite:///…'), 'redis://…' or ${STORE_VARIABLE}"
        )
        warnings.warn(message, IdemkitWarning, stacklevel=5)
    return MemoryStore()


def _several_processes() -> bool:
    workers = os.environ.get("WEB_CONCURRENCY", "")
    # Whoever starts workers through multiprocessing has imported it; we need not.
    multiprocessing = sys.modules.get("multiprocessing.process")
    child = multiprocessing is not None and multiprocessing.parent_process() is not None
    return child or (workers.isdigit() and int(workers) > 1)


_configurations: weakref.WeakSet[Configuration] = weakref.WeakSet()
_default: Configuration | None = None
_making_default = threading.Lock()


def default() -> Configuration:
    """Return what a bare `@idempotent` uses, made on first use unless somebody configured it."""
    return _default or _made_default()


def _made_default() -> Configuration:
    global _default  # noqa: PLW0603 - there is one default per process, and this is its place
    with _making_default:  # two at once would be two memories, and one call could run in each
        _default = _default or Configuration(
            None, namespace="default", codec=None, near_cache=0, settings={}
        )
        return _default


def set_default(configuration: Configuration) -> None:
    """Make `configuration` what a bare `@idempotent` uses from its next call on."""
    global _default  # noqa: PLW0603 - see above
    _default = configuration


def _after_fork() -> None:
    for configuration in _configurations:
        configuration._after_fork()  # noqa: SLF001 - our own


in_child(_after_fork)
