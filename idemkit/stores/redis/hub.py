"""Listening for doorbells: one pub/sub connection for all waiters of a process, in one thread.

The thread sleeps until the server or a waiter has something for it; nothing is ever polled.
"""

from __future__ import annotations

import itertools
import logging
import random
import selectors
import socket
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from ...protocol import retry_delay
from .wire import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .sources import BlockingConnection

__all__ = ["Hub"]

_log: Final = logging.getLogger("idemkit")

_AT_ONCE: Final = 256  # messages that are heard before bells ring
_LONGEST_PAUSE: Final = 6  # the attempt from which on a pause grows no more

Rings: TypeAlias = "dict[bytes, dict[int, Callable[[], None]]]"


class Hub:
    """Who watches which channel.

    Args:
        connect: Makes a blocking connection, not yet connected.
    """

    def __init__(self, connect: Callable[[], BlockingConnection]) -> None:
        self._connect = connect
        self.after_fork()

    def after_fork(self) -> None:
        """Forget everybody: who watched was a thread or a task of the parent."""
        self._lock = threading.Lock()
        self._rings: Rings = {}
        self._numbers = itertools.count()
        self._listener: Listener | None = None

    def watch(self, channel: bytes, ring: Callable[[], None]) -> Callable[[], None]:
        """Ring as soon as listening has begun, on every message, and after every gap."""
        with self._lock:
            number = next(self._numbers)
            self._rings.setdefault(channel, {})[number] = ring
            if self._listener is None:
                self._listener = Listener(self._lock, self._rings, self._connect)
            already_listening = self._listener.note(channel)
        if already_listening:
            _ring(ring)
        return partial(self._unwatch, channel, number)

    def _unwatch(self, channel: bytes, number: int) -> None:
        with self._lock:
            rings = self._rings.get(channel, {})
            rings.pop(number, None)
            if not rings and self._rings.pop(channel, None) is not None and self._listener:
                self._listener.note(channel)

    def rest(self) -> None:
        """End the thread and its connection if nobody watches."""
        with self._lock:
            if self._rings or self._listener is None:
                return
            listener, self._listener = self._listener, None
            listener.stop()
        listener.join()


class Listener:
    """The thread, its connection, and what that has subscribed to.

    Args:
        lock: Guards `rings` and everything here that two threads see.
        rings: Who watches which channel.
        connect: Makes a blocking connection, not yet connected.
    """

    def __init__(
        self, lock: threading.Lock, rings: Rings, connect: Callable[[], BlockingConnection]
    ) -> None:
        self._lock = lock
        self._rings = rings
        self._connection = connect()
        self._changed: list[bytes] = []
        self._subscribed: set[bytes] = set()
        self._heard: set[bytes] = set()
        self._stopping = threading.Event()
        self._failures = 0
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._thread = threading.Thread(target=self._run, name="idemkit-doorbell", daemon=True)
        self._thread.start()

    def note(self, channel: bytes) -> bool:
        """Take up a channel that has gained its first or lost its last watcher, under the lock.

        Returns:
            Whether the channel is being listened to already.
        """
        if not self._changed:
            self._waker.send(b"\0")
        self._changed.append(channel)
        return channel in self._heard

    def stop(self) -> None:
        """Ask the thread to end, under the lock."""
        self._stopping.set()
        with suppress(OSError):  # it has seen that already, and is gone
            self._waker.send(b"\0")

    def join(self) -> None:
        """Wait a moment for the thread to end, unless it is the caller."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=1)

    def _run(self) -> None:
        with self._woken, self._waker, selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                self._listen_until_broken(selector)

    def _listen_until_broken(self, selector: selectors.BaseSelector) -> None:
        try:
            self._connection.connect()
            self._listen(selector)
        except Exception as error:  # noqa: BLE001 - whatever it is, waiters need the next try
            self._complain(error)
        finally:
            self._lose()
        if not self._stopping.is_set():
            self._pause(selector)

    def _complain(self, error: Exception) -> None:
        if self._failures == 0:
            _log.warning(
                "lost the Redis connection that listens for doorbells; until it is back, "
                "waiters ask again when a lease ends",
                extra={"error": str(error)},
            )
        self._failures += 1

    def _lose(self) -> None:
        self._connection.disconnect()
        with self._lock:
            self._subscribed.clear()
            self._heard.clear()

    def _pause(self, selector: selectors.BaseSelector) -> None:
        self._drain()
        with self._lock:
            self._changed.clear()  # Listening begins with everything that is watched then.
            wanted = bool(self._rings)
        if not wanted:
            selector.select()
            return
        attempt = min(self._failures, _LONGEST_PAUSE)
        self._stopping.wait(retry_delay(attempt, random.random()))  # noqa: S311 - spreads retries

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)

    def _listen(self, selector: selectors.BaseSelector) -> None:
        with self._lock:
            self._changed.extend(self._rings)
        # The one private name used here: to sleep on it and on the waker together.
        sock = self._connection._sock  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        selector.register(sock, selectors.EVENT_READ)
        try:
            while not self._stopping.is_set():
                self._send_changes()
                self._hear_all()
                selector.select()
                self._drain()
        finally:
            selector.unregister(sock)

    def _send_changes(self) -> None:
        with self._lock:
            changed, self._changed = set(self._changed), []
            gained = [c for c in changed if c in self._rings and c not in self._subscribed]
            dropped = [c for c in changed if c not in self._rings and c in self._subscribed]
            self._subscribed.update(gained)
            self._subscribed.difference_update(dropped)
            self._heard.difference_update(dropped)
        for verb, channels in ((b"SUBSCRIBE", gained), (b"UNSUBSCRIBE", dropped)):
            if channels:
                commands = [packed(verb, *channels)]
                self._connection.send_packed_command(commands, check_health=False)

    def _hear_all(self) -> None:
        while self._connection.can_read(timeout=0):
            for channel in self._take_messages():
                with self._lock:
                    rings = list(self._rings.get(channel, {}).values())
                for ring in rings:
                    _ring(ring)

    def _take_messages(self) -> Iterable[bytes]:
        """Return the channels of what has arrived, each once: one ring says all that many do."""
        channels: dict[bytes, None] = {}
        for _ in range(_AT_ONCE):
            if not self._connection.can_read(timeout=0):
                break
            kind, channel, _ = self._connection.read_response(disable_decoding=True)
            if kind == b"unsubscribe":
                continue
            channels[channel] = None
            if kind == b"subscribe":
                self._begin(channel)
        return channels

    def _begin(self, channel: bytes) -> None:
        self._failures = 0
        with self._lock:
            self._heard.add(channel)


def _ring(ring: Callable[[], None]) -> None:
    try:
        ring()
    except Exception:  # noqa: BLE001 - the other waiters' bells must ring
        _log.exception("a doorbell's callback failed")
