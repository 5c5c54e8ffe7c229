"""Tests of `idemkit.core.lease`: claims are kept alive by one thread, and by nothing else."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from idemkit.core import lease
from idemkit.core.call import Call
from idemkit.core.colour import SYNC, drive
from idemkit.core.execution import Execution
from idemkit.core.feeds import Feeds
from idemkit.core.flights import Flights
from idemkit.core.lease import Keeper
from idemkit.core.policy import Policy
from idemkit.core.settling import Settler
from idemkit.core.wiring import Wiring
from idemkit.protocol import Record, State
from idemkit.stores import MemoryStore
from idemkit.testing import FakeClock, FaultyStore
from idemkit.testing.faults import preceded_by, raising, request_lost
from tests.commands import claim, grant
from tests.servers import wait_until
from tests.stand_ins import in_child

# Of a lease of thirty seconds, in seconds.
BEAT = 6.0
VALID = 28.9


class Owner:
    """A process that owns claims, on a store whose clock is its own clock.

    Args:
        threaded: Whether its claims are renewed by a thread, or by the test.
    """

    def __init__(self, *, threaded: bool = False) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(clock=self.clock.milliseconds)
        self.store = FaultyStore(self.memory, "sync")
        self.keeper = Keeper(self.clock, threaded=threaded)

    def hold(
        self,
        address: str = "a",
        *,
        store: FaultyStore | None = None,
        alive: Callable[[], bool] = lambda: True,
        **settings: Any,
    ) -> Execution:
        """Claim, and have the claim renewed."""
        store = store or self.store
        policy = Policy(**settings)
        command = claim(f"token of {address}".encode(), lease=policy.terms.lease)
        execution = Execution(
            Call("shop.pay", "shop.pay@1:", address, command.fingerprint),
            policy,
            grant=grant(command, drive(self.memory.claim(address, command))),
            owner=Settler(Wiring(store, SYNC, Flights(), self.keeper, store, Feeds())),
            store=store,
            sent=self.clock(),
            alive=alive,
        )
        self.keeper.hold(execution)
        return execution

    def pass_time(self, seconds: float, *, step: float = 1.5) -> None:
        """Let time pass, as the thread sees it."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.keeper.tick()

    def beats(self) -> int:
        """Return how often the store was asked to renew."""
        return self.store.sent.count("beat")

    def record(self, address: str = "a") -> Record:
        """Return what the store keeps."""
        found = drive(self.memory.peek(address))
        assert found is not None
        return found[0]

    def renewed(self) -> bool:
        """Say whether the lease of the record is good for a while."""
        record = self.record()
        ahead = record.lease_until - self.clock.milliseconds()
        return record.state is State.RUNNING and ahead > 15_000


class CountingCondition(threading.Condition):
    """A condition that counts how often its sleepers are woken."""

    def __init__(self) -> None:
        super().__init__()
        self.rings = 0

    def notify_all(self) -> None:
        """Wake everybody, and count."""
        self.rings += 1
        super().notify_all()


class Naps(CountingCondition):
    """A condition nobody sleeps at, which takes note of how long they would."""

    def __init__(self) -> None:
        super().__init__()
        self.naps: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Take note, and go on at once."""
        self.naps.append(timeout)
        return False


@pytest.fixture
def owner() -> Owner:
    """Return an owner whose beats the test sends."""
    return Owner()


@pytest.fixture
def threaded() -> Iterator[Owner]:
    """Return an owner with a beat thread, which the test's end stops."""
    owner = Owner(threaded=True)
    yield owner
    owner.keeper.close()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages that were logged as warnings."""
    return [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]


# ------------------------------------------------------------------------------- beats


def test_claim_is_renewed_when_due(owner: Owner) -> None:
    """After a fifth of its lease a claim is renewed."""
    owner.hold()
    owner.pass_time(BEAT)
    assert owner.clock.milliseconds() + 30_000 == owner.record().lease_until


def test_claim_is_not_renewed_before(owner: Owner) -> None:
    """A call shorter than one beat costs the store no beat."""
    owner.hold()
    owner.pass_time(BEAT - 1.5)
    assert 0 == owner.beats()


def test_claim_outlives_its_first_lease(owner: Owner) -> None:
    """A body may run as long as it likes."""
    owner.hold()
    owner.pass_time(300.0)
    assert owner.renewed()


def test_many_claims_are_one_command(owner: Owner) -> None:
    """However many claims are due, each store is asked once."""
    for number in range(50):
        owner.hold(f"a{number}")
    owner.pass_time(BEAT)
    assert 1 == owner.beats()


def test_each_store_gets_its_own_claims(owner: Owner) -> None:
    """Claims of several stores are renewed where they were granted."""
    other = FaultyStore(owner.memory, "sync")
    owner.hold("a")
    owner.hold("b", store=other)
    owner.pass_time(BEAT)
    assert (["beat"], ["beat"]) == (owner.store.sent, other.sent)


def test_dropped_claim_is_not_renewed(owner: Owner) -> None:
    """What was settled needs no lease."""
    owner.keeper.drop(owner.hold())
    owner.pass_time(BEAT)
    assert (0, 0) == (len(owner.keeper), owner.beats())


@pytest.mark.parametrize("mishap", [request_lost, raising(RuntimeError("a defect"))])
def test_failed_beat_is_tried_again_before_the_lease_ends(owner: Owner, mishap: Any) -> None:
    """Whatever a store does to a few beats, the claim is kept."""
    owner.hold()
    owner.store.suffer("beat", *[mishap] * 5)
    owner.pass_time(VALID)
    assert owner.renewed()


def test_store_that_stays_away_does_not_lose_claims(owner: Owner) -> None:
    """Errors alone make nobody give up, not even when the lease is over."""
    owner.hold()
    owner.store.suffer("beat", *[request_lost] * 1000)
    owner.pass_time(60.0)
    assert 1 == len(owner.keeper)


def test_failed_beat_is_told(owner: Owner, caplog: pytest.LogCaptureFixture) -> None:
    """A store that does not answer beats is logged, and its message is not."""
    owner.hold()
    owner.store.suffer("beat", request_lost)
    owner.pass_time(BEAT)
    expected = "a beat to store 'memory' failed with StoreUnavailableError and is tried again"
    assert [expected] == warnings_of(caplog)


def test_lost_claim_is_dropped(owner: Owner) -> None:
    """A claim that somebody forgot is renewed no more."""
    owner.hold()
    drive(owner.memory.forget("a", 60_000))
    owner.pass_time(BEAT)
    assert (0, State.FORGOTTEN) == (len(owner.keeper), owner.record().state)


def test_claim_that_the_store_lost_is_put_back(owner: Owner) -> None:
    """A store that lost its memory is told again, while the lease is good."""
    owner.hold()
    owner.memory.after_fork()
    owner.pass_time(BEAT)
    assert (1, True) == (len(owner.keeper), owner.renewed())


def test_claim_whose_lease_is_over_is_not_put_back(owner: Owner) -> None:
    """Somebody else may have run since, so nothing is healed after the lease."""
    owner.hold()
    owner.memory.after_fork()
    owner.pass_time(VALID + 0.1, step=VALID + 0.1)
    assert (0, 0) == (len(owner.keeper), len(owner.memory))


def test_renewal_counts_from_its_sending(owner: Owner) -> None:
    """A slow beat renews our own view of the lease from before it was sent."""
    execution = owner.hold()
    owner.store.suffer("beat", preceded_by(lambda: owner.clock.advance(20.0)))
    owner.pass_time(BEAT, step=BEAT)
    sent = owner.clock() - 20.0
    assert (True, False) == (
        execution.beat(sent + VALID - 0.1).heal,
        execution.beat(sent + VALID + 0.1).heal,
    )


def test_body_beyond_max_run_is_renewed_no_more(owner: Owner) -> None:
    """A wedged body loses its claim when its time is over and its lease has ended."""
    owner.hold(max_run=60)
    owner.pass_time(90.0)
    assert (0, False) == (len(owner.keeper), owner.renewed())


def test_body_within_max_run_is_renewed(owner: Owner) -> None:
    """Until then a slow body is as safe as any."""
    owner.hold(max_run=60)
    owner.pass_time(57.0)
    assert owner.renewed()


def test_late_beats_are_told(owner: Owner, caplog: pytest.LogCaptureFixture) -> None:
    """A process that was paused beyond its leases says by how much."""
    owner.hold()
    owner.pass_time(32.5, step=32.5)
    assert [2.5] == [getattr(entry, "idemkit.gap") for entry in caplog.records]


def test_beats_in_time_are_not_told(owner: Owner, caplog: pytest.LogCaptureFixture) -> None:
    """A pause that no lease could notice is nobody's business."""
    owner.hold()
    owner.pass_time(29.0, step=29.0)
    assert [] == warnings_of(caplog)


# ------------------------------------------------------------------------------ let go


def test_claim_of_a_closed_loop_is_let_go(owner: Owner) -> None:
    """A body that can no longer end is given back as in doubt at once."""
    owner.hold(alive=lambda: False)
    owner.keeper.tick()
    assert (0, b"") == (len(owner.keeper), owner.record().token)


def test_abandoned_claim_is_let_go(owner: Owner) -> None:
    """What an owner could not settle is given back for it."""
    owner.keeper.abandon(owner.hold())
    owner.keeper.tick()
    assert (0, b"") == (len(owner.keeper), owner.record().token)


@pytest.mark.parametrize("mishap", [request_lost, raising(RuntimeError("a defect"))])
def test_claim_that_cannot_be_given_back_harms_no_other(owner: Owner, mishap: Any) -> None:
    """Whatever a store does to one release, the next is sent."""
    for address in "ab":
        owner.keeper.abandon(owner.hold(address))
    owner.store.suffer("release", mishap)
    owner.keeper.tick()
    assert b"" == owner.record("b").token


def test_forked_child_holds_nothing(owner: Owner) -> None:
    """What the parent holds is not renewed by its child."""
    owner.hold()

    def held() -> int:
        owner.keeper.after_fork()
        return len(owner.keeper)

    assert "0" == in_child(held)


def test_keeper_of_this_process_forgets_at_a_fork(owner: Owner) -> None:
    """The one keeper of a process hears of every fork by itself."""
    execution = owner.hold()
    lease.keeper._held[id(execution)] = execution
    try:
        assert "0" == in_child(lambda: len(lease.keeper))
    finally:
        lease.keeper.drop(execution)


def test_close_without_a_thread_waits_for_nobody(owner: Owner) -> None:
    """Where no thread was started there is none to wait for."""
    owner.hold()
    owner.keeper.close()
    assert 0 == len(owner.keeper)


# -------------------------------------------------------------------------- the thread


def test_thread_beats(threaded: Owner) -> None:
    """A claim that is due is renewed without anybody's doing."""
    execution = threaded.hold()
    threaded.keeper.drop(execution)
    execution.due = threaded.clock()
    threaded.keeper.hold(execution)
    threaded.store.until("beat")
    assert [execution] == threaded.keeper._snapshot()


def test_thread_lets_go_of_what_is_abandoned(threaded: Owner) -> None:
    """The thread is woken for a claim that nobody settled."""
    threaded.keeper.abandon(threaded.hold())
    threaded.store.until("release")
    wait_until(lambda: threaded.record().token == b"")


def test_thread_is_a_daemon_of_its_own(threaded: Owner) -> None:
    """Beats keep no interpreter alive, and come neither from the caller nor from a loop."""
    threaded.keeper.abandon(threaded.hold())
    threaded.store.until("release")
    thread = threaded.keeper._thread
    assert (True, thread and thread.ident) == (
        thread and thread.daemon,
        threaded.store.threads["release"],
    )


def test_thread_has_stopped_after_close(threaded: Owner) -> None:
    """A closed keeper leaves no thread behind."""
    threaded.hold()
    thread = threaded.keeper._thread
    threaded.keeper.close()
    assert False is (thread and thread.is_alive())


def test_close_gives_every_claim_back(threaded: Owner) -> None:
    """At exit what still runs is left in doubt, rather than to its lease."""
    threaded.hold("a")
    threaded.hold("b")
    threaded.keeper.close()
    assert [b"", b""] == [threaded.record(address).token for address in "ab"]


def test_close_keeps_its_patience(threaded: Owner) -> None:
    """A store that does not answer does not keep the interpreter from leaving."""
    opened = threading.Event()
    threaded.hold()
    threaded.store.suffer("release", preceded_by(opened.wait))
    threaded.keeper.close(0.01)
    ended = list(threaded.store.ended)
    opened.set()
    assert [] == ended


def test_closed_keeper_holds_again(threaded: Owner) -> None:
    """Whoever goes on after a close has a thread again."""
    threaded.keeper.close()
    threaded.hold()
    threaded.keeper.close()
    threaded.keeper.abandon(threaded.hold("b"))
    threaded.store.until("release", 2)
    wait_until(lambda: threaded.record("b").token == b"")


def killed(owner: Owner) -> threading.Thread | None:
    """Kill the beat thread, and return what was it."""
    owner.store.suffer("release", raising(SystemExit()))
    owner.keeper.abandon(owner.hold("fatal"))
    thread = owner.keeper._thread
    assert thread is not None
    thread.join(20)
    return thread


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_killed_thread_is_started_again(threaded: Owner) -> None:
    """A thread that something has killed is missed at the next claim."""
    dead = killed(threaded)
    threaded.hold()
    thread = threaded.keeper._thread
    assert thread is not dead
    assert thread is not None
    assert thread.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_killed_thread_is_revived_for_what_is_held(threaded: Owner) -> None:
    """Whoever asks finds that it is dead, and what is held is renewed again."""
    execution = threaded.hold()
    dead = killed(threaded)
    threaded.keeper.drop(execution)
    threaded.keeper._held[1] = execution  # held, and nobody was woken
    threaded.keeper.revive()
    thread = threaded.keeper._thread
    assert (True, True) == (thread is not dead, thread is not None and thread.is_alive())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_killed_thread_is_not_revived_for_nothing(threaded: Owner) -> None:
    """Where nothing is held there is nothing to renew."""
    dead = killed(threaded)
    threaded.keeper._held.clear()
    threaded.keeper.revive()
    assert dead is threaded.keeper._thread


def test_living_thread_is_not_revived(threaded: Owner) -> None:
    """Nor is one started where there was none to die."""
    threaded.keeper.revive()
    none = threaded.keeper._thread
    threaded.hold()
    thread = threaded.keeper._thread
    threaded.keeper.revive()
    assert (None, thread) == (none, threaded.keeper._thread)


def test_living_thread_is_left_alone(threaded: Owner) -> None:
    """One thread beats for all claims, however many come."""
    threaded.hold("first")
    thread = threaded.keeper._thread
    threaded.hold("second")
    assert thread is threaded.keeper._thread


def test_thread_starts_with_the_first_claim(threaded: Owner) -> None:
    """A process that guards nothing has no thread."""
    assert threaded.keeper._thread is None


def test_short_calls_wake_nobody(threaded: Owner) -> None:
    """A steady stream of calls shorter than a beat wakes the thread for its first alone."""
    threaded.keeper._changed = condition = CountingCondition()
    threaded.keeper.drop(threaded.hold("first"))
    wait_until(lambda: condition._waiters)  # type: ignore[attr-defined]
    for number in range(100):
        threaded.keeper.drop(threaded.hold(f"a{number}"))
    assert 1 == condition.rings


def test_shorter_lease_wakes_the_thread(threaded: Owner) -> None:
    """A claim that is due before the thread would wake up by itself wakes it."""
    threaded.keeper._changed = condition = CountingCondition()
    threaded.hold()
    wait_until(lambda: condition._waiters)  # type: ignore[attr-defined]
    threaded.hold("b", lease=5)
    assert 2 == condition.rings


def test_idle_thread_sleeps_until_somebody_comes(owner: Owner) -> None:
    """When the last claim has gone, the thread naps once more and then for good."""
    keeper = owner.keeper
    keeper._changed = naps = Naps()
    keeper.drop(owner.hold())
    keeper._nap()
    keeper._nap()
    assert [BEAT, None] == naps.naps


def test_nobody_naps_while_something_is_abandoned(owner: Owner) -> None:
    """A claim that was abandoned during a beat is given back before the next nap."""
    keeper = owner.keeper
    keeper._changed = naps = Naps()
    keeper.abandon(owner.hold())
    keeper._nap()
    assert [] == naps.naps
