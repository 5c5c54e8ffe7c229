"""What breaks in idempotency-kit, idempotent-tools, idempotency, idempot and idemptx, not here."""

import os
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from idemkit import (
    Idempotency,
    InProgressError,
    RecordedError,
    ResultNotSerializableError,
    ResultUnavailableError,
    ResultUnreadableError,
    StoreUnavailableError,
    idempotent,
    operation,
)
from idemkit.core.colour import drive
from idemkit.protocol import Completion, Kind
from idemkit.testing import FakeClock
from idemkit.testing.faults import request_lost
from tests.gauntlet.crowds import Caller, Pause
from tests.gauntlet.scene import LEASE, Scene, address_of, this_attempt
from tests.servers import free_port


class DisguisedError(Exception):
    """An exception that has whoever copies it make a directory."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        """Say how to copy it, as pickle would have it."""
        return os.mkdir, self.args


def fail(path: str) -> None:
    """Fail in disguise."""
    raise DisguisedError(path)


def note(words: list[str]) -> list[str]:
    """Leave a mark."""
    words.append("ran")
    return words


def test_late_owner_cannot_overwrite(scene: Scene, clock: FakeClock) -> None:
    """What a late owner comes to is not what anybody gets, however often they ask."""
    pause = Pause()

    def work() -> int:
        attempt = this_attempt()
        if attempt == 1:
            pause.here()
        return attempt

    late = Caller(scene.application().idempotent(lease=LEASE)(work))
    pause.reached()
    clock.advance(LEASE)
    winner = scene.application().idempotent(lease=LEASE)(work)
    taken_over = winner()
    pause.end()
    late.result()
    assert [2] * 3 == [taken_over, winner(), scene.application().idempotent(work)()]


def test_guard_fails_closed_by_default(scene: Scene) -> None:
    """Where the store does not answer nothing runs; once it does, the body runs once."""
    store = scene.faulty()
    words: list[str] = []
    store.suffer("claim", request_lost)
    work = scene.application(store).idempotent(note)
    with pytest.raises(StoreUnavailableError):
        work(words)
    assert ["ran"] == work(words)


def test_guard_without_a_server_fails_closed() -> None:
    """Where no server listens nothing runs either."""
    words: list[str] = []
    with (
        Idempotency(f"redis://127.0.0.1:{free_port()}") as idem,
        pytest.raises(StoreUnavailableError),
    ):
        idem.idempotent(note)(words)
    assert [] == words


def test_bare_guard_without_a_server_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare `@idempotent` whose store is named by the environment is no laxer."""
    monkeypatch.setattr(operation, "_default", None)
    monkeypatch.setenv("IDEMKIT_STORE", f"redis://127.0.0.1:{free_port()}")
    words: list[str] = []
    with pytest.raises(StoreUnavailableError):
        idempotent(note)(words)
    assert [] == words


def plant(scene: Scene, work: Any, path: str, kind: Kind, codec: str, body: bytes) -> None:
    """Record bytes as the outcome of a call."""
    grant = scene.vanish(work, path)
    forged = Completion(grant, kind, codec, body, "", ttl=60_000, stale=0, heal=False)
    drive(scene.store.complete(address_of(work, path), forged))


def test_dead_owner_is_not_stuck_for_ever(scene: Scene, clock: FakeClock) -> None:
    """A claim that nobody renews or settles keeps others out for its lease, and no longer."""

    @scene.application(on_duplicate="reject").idempotent(lease=LEASE)
    def work() -> int:
        return this_attempt()

    scene.vanish(work)
    clock.advance(LEASE - 0.001)
    with pytest.raises(InProgressError):
        work()
    clock.advance(0.001)
    assert 2 == work()


@pytest.mark.parametrize(
    ("kind", "codec"), [(Kind.ERROR, "idemkit.error"), (Kind.VALUE, "idemkit")]
)
@pytest.mark.parametrize("header", [b"", b"\x10", b"\x11"], ids=["bare", "plain", "tagged"])
def test_record_is_not_unpickled(
    scene: Scene, tmp_path: Path, kind: Kind, codec: str, header: bytes
) -> None:
    """A pickle in the place of a record is unreadable, and does nothing."""
    path = str(tmp_path / "made by a pickle")
    work = scene.application().idempotent(record_errors=[DisguisedError])(fail)
    plant(scene, work, path, kind, codec, header + pickle.dumps(DisguisedError(path)))
    with pytest.raises(ResultUnreadableError):
        work(path)
    assert [] == list(tmp_path.iterdir())


def test_exception_is_neither_pickled_nor_copied_by_its_own_recipe(
    idem: Idempotency, tmp_path: Path
) -> None:
    """An exception whose recipe for copying is some function comes back without a call of it."""
    path = str(tmp_path / "made by a copy")
    work = idem.idempotent(record_errors=[DisguisedError])(fail)
    with pytest.raises(DisguisedError):
        work(path)
    with pytest.raises(RecordedError, match="DisguisedError"):
        work(path)
    assert [] == list(tmp_path.iterdir())


def test_result_that_is_not_json_is_not_replayed_as_none(idem: Idempotency) -> None:
    """A result of types that JSON does not know is replayed as itself."""
    value = {"at": datetime(2026, 1, 2, tzinfo=UTC), "raw": b"\xff", "seen": {1, 2}, "z": 1j}

    @idem.idempotent
    def work() -> dict[str, Any]:
        return value

    assert [value, value] == [work(), work()]


class Handle:
    """Something that no bytes can stand for."""


def test_result_that_cannot_be_recorded_is_not_replayed_as_none(idem: Idempotency) -> None:
    """The first caller is told by name what cannot be recorded; nothing runs a second time."""
    runs = []

    @idem.idempotent
    def work() -> Handle:
        runs.append("run")
        return Handle()

    with pytest.raises(ResultNotSerializableError, match=r"work .*Handle\) cannot be recorded"):
        work()
    with pytest.raises(ResultUnavailableError):
        work()
    assert ["run"] == runs


def test_positional_and_keyword_arguments_are_one_call(idem: Idempotency) -> None:
    """`f(1)`, `f(x=1)` and `f(1, y=<default>)` agree, in key and in outcome."""
    runs = []

    @idem.idempotent
    def work(x: int, y: int = 2, *, z: int = 3) -> int:
        runs.append((x, y, z))
        return x

    values = [work(1), work(x=1), work(1, y=2), work(1, 2, z=3), work(z=3, y=2, x=1)]
    assert ([1] * 5, [(1, 2, 3)]) == (values, runs)


def test_other_arguments_are_another_call(idem: Idempotency) -> None:
    """Arguments that are alike in print or in value, but not in type, are different calls."""

    @idem.idempotent
    def work(x: Any) -> str:
        return repr(x)

    alike = [1, 1.0, True, "1", b"1", Decimal(1), [1], {1}, None, "None"]
    assert list(map(repr, alike)) == [work(x) for x in alike]


def test_guard_covers_the_body(scene: Scene) -> None:
    """The key is held until the body has come to its end, not only while it is claimed."""
    elsewhere = scene.application(on_duplicate="reject")
    pause = Pause()

    def work() -> str:
        pause.here()
        return "done"

    caller = Caller(scene.application().idempotent(work))
    pause.reached()
    with pytest.raises(InProgressError):
        elsewhere.idempotent(work)()
    pause.end()
    assert "done" == caller.result()
