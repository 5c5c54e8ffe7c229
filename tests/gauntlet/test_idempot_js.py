"""What breaks in idempot-js where it concerns functions, and does not break here."""

import multiprocessing
import os

import pytest

from idemkit import Idempotency, InProgressError, KeyReusedError, StoreUnavailableError
from idemkit.stores.redis import RedisStore
from idemkit.testing import FakeClock
from idemkit.testing.faults import reply_lost
from tests.gauntlet.crowds import DEADLINE, Caller, Pause
from tests.gauntlet.scene import LEASE, Scene, this_attempt
from tests.proxy import proxy_to
from tests.servers import Server

NEIGHBORS = (2**53, 2**53 + 1)
"""Two integers that are one floating-point number."""


def work(status: int) -> int:
    """Die where a status says so; else return which attempt this is."""
    attempt = this_attempt()
    if attempt == 1:
        os._exit(status)
    return attempt


def _work_in_child(url: str, clock: FakeClock) -> None:
    Idempotency(RedisStore(url, clock=clock.milliseconds)).idempotent(lease=LEASE)(work)(3)


@pytest.mark.slow
def test_crash_does_not_wedge_the_key(server: Server, clock: FakeClock) -> None:
    """A call whose process died is refused while its lease lasts, and then runs again."""
    child = multiprocessing.get_context("spawn").Process(
        target=_work_in_child, args=(server.url, clock)
    )
    child.start()
    child.join(DEADLINE)
    store = RedisStore(server.url, clock=clock.milliseconds)
    with Idempotency(store, on_duplicate="reject") as idem:
        guarded = idem.idempotent(lease=LEASE)(work)
        with pytest.raises(InProgressError):
            guarded(3)
        clock.advance(LEASE)
        assert (3, 2) == (child.exitcode, guarded(3))


def test_claim_whose_reply_is_lost_is_known_as_ones_own(server: Server) -> None:
    """A claim that is sent again after its reply was lost runs, once and at once."""
    with proxy_to(server.port) as proxy, Idempotency(proxy.url, on_duplicate="reject") as idem:
        runs = []

        @idem.idempotent(name=f"lost-reply-{proxy.port}")
        def work(number: int) -> int:
            runs.append(number)
            return this_attempt()

        work(0)  # connected, and the scripts loaded
        proxy.drop_replies(1)
        assert (1, 1, [0, 1]) == (work(1), work(1), runs)


def test_claim_whose_reply_never_comes_does_not_wedge_the_key(
    scene: Scene, clock: FakeClock
) -> None:
    """A claim that its owner never heard of is in force for one lease, not for a day."""
    store = scene.faulty()
    store.suffer("claim", reply_lost)

    @scene.application(store, on_duplicate="reject").idempotent(lease=LEASE)
    def work() -> str:
        return "done"

    with pytest.raises(StoreUnavailableError):
        work()
    clock.advance(LEASE)
    assert (None, "done") == (work.peek(), work())


def test_big_integers_do_not_collide_in_the_key(idem: Idempotency) -> None:
    """Integers that are one floating-point number are two calls."""

    @idem.idempotent
    def work(number: int) -> int:
        return number

    assert list(NEIGHBORS) == [work(number) for number in NEIGHBORS]


def test_big_integers_do_not_collide_in_the_fingerprint(idem: Idempotency) -> None:
    """Integers that are one floating-point number are two payloads."""

    @idem.idempotent(key=["request"])
    def work(request: str, amount: int) -> str:
        return f"{request}: {amount}"

    work("a", NEIGHBORS[0])
    with pytest.raises(KeyReusedError):
        work("a", NEIGHBORS[1])


def test_other_payload_is_refused_while_the_first_runs(scene: Scene) -> None:
    """Another payload under a key neither waits for nor gets the result of the first."""
    pause = Pause()

    def work(request: str, amount: int) -> str:
        pause.here()
        return f"{request}: {amount}"

    here, elsewhere = (scene.application().idempotent(key=["request"])(work) for _ in range(2))
    caller = Caller(lambda: here("a", 1))
    pause.reached()
    for guarded in (here, elsewhere):
        with pytest.raises(KeyReusedError):
            guarded("a", 2)
    pause.end()
    assert "a: 1" == caller.result()
