"""Tests of `idemkit.core.ending`: what is recorded of a body, and what its callers get."""

import contextlib
import weakref
from datetime import timedelta
from typing import Any, cast

import pytest

from idemkit.core.call import Outcome, Ran, Replay
from idemkit.core.codecs import PickleCodec, encode_error
from idemkit.core.ending import (
    ERROR_CODEC,
    Ending,
    concluded,
    failed,
    judged,
    opened,
    outcome_of,
    peeked,
    returned,
    stand_in,
)
from idemkit.core.execution import Execution
from idemkit.core.policy import Policy
from idemkit.core.result import Conclusion
from idemkit.core.verdict import Done, NotDone, Unknown
from idemkit.errors import (
    ClaimLostError,
    InDoubtError,
    RecordedError,
    ResultNotSerializableError,
    ResultUnavailableError,
    ResultUnreadableError,
)
from idemkit.protocol import Kind, Recorded
from tests.core.worlds import CALL, CODEC, Process, World

MOMENT = 1_700_000_000_000
RECORDED = Recorded(
    Kind.VALUE, CODEC.name, CODEC.encode([1, 2]), "00-ab-cd-01", 3, MOMENT, MOMENT + 60_000, MOMENT
)
DECLINED = RECORDED._replace(
    kind=Kind.ERROR, codec=ERROR_CODEC, body=encode_error(ValueError("declined"))
)
KEEPS_ERRORS = Policy(record_errors=(ValueError,))


class ProbeError(Exception):
    """What a body raises."""


@pytest.fixture
def owner(sync_world: World) -> Process:
    """Return a process that may run bodies."""
    return sync_world.process()


def ran(came: Ran | Replay) -> Outcome[Any]:
    """Return what the caller of a body that ran is told."""
    assert isinstance(came, Ran)
    return came.outcome()


def running(owner: Process, **settings: Any) -> Execution:
    """Return an execution under a policy."""
    return owner.execution(**settings)


def body_of(ending: Ending | None) -> tuple[Kind, bytes] | None:
    """Return what is to be recorded."""
    result = ending and ending.result
    return (result.kind, result.body) if result else None


# ------------------------------------------------------------------- what is recorded


@pytest.mark.parametrize("value", [None, 0, "", [], False, {"a": [1, 2.5]}], ids=repr)
def test_value_is_recorded(owner: Process, value: Any) -> None:
    """Whatever a body returned is kept, however little that is."""
    ending = returned(running(owner), CODEC, value)
    assert (Kind.VALUE, CODEC.encode(value)) == body_of(ending)


def test_ttl_and_stale_come_from_the_policy(owner: Process) -> None:
    """A result knows how long it is good for."""
    ending = returned(running(owner, ttl=5, stale_if_error=7), CODEC, 1)
    assert ending.result is not None
    assert (5.0, 7.0) == (ending.result.ttl, ending.result.stale)


def test_predicate_may_keep_a_result_out(owner: Process) -> None:
    """What is not to be kept reaches its caller and no record."""
    ending = returned(running(owner, record=lambda value: value > 1), CODEC, 1)
    assert Ending(value=1) == ending


def test_predicate_may_let_a_result_in(owner: Process) -> None:
    """What is to be kept is kept."""
    ending = returned(running(owner, record=lambda value: value > 1), CODEC, 2)
    assert (Kind.VALUE, CODEC.encode(2)) == body_of(ending)


def test_value_is_kept_where_the_predicate_fails(owner: Process) -> None:
    """A predicate that raises is heard, but the value was paid for and duplicates get it."""
    ending = returned(running(owner, record=lambda value: value["absent"]), CODEC, {})
    assert (KeyError, (Kind.VALUE, CODEC.encode({}))) == (type(ending.error), body_of(ending))


def test_oversized_result_leaves_a_tombstone(owner: Process) -> None:
    """A result above the limit is not kept, but that it ran is."""
    ending = returned(running(owner, max_bytes=10), CODEC, "x" * 100)
    assert ("x" * 100, (Kind.OVERSIZED, b"")) == (ending.value, body_of(ending))


def test_result_of_the_limit_is_kept(owner: Process) -> None:
    """The largest result that is allowed is allowed."""
    size = len(CODEC.encode("x"))
    assert (Kind.VALUE, CODEC.encode("x")) == body_of(
        returned(running(owner, max_bytes=size), CODEC, "x")
    )


def test_unserializable_result_leaves_a_tombstone(owner: Process) -> None:
    """A result that cannot become bytes is not kept, but that it ran is."""
    assert (Kind.UNSERIALIZABLE, b"") == body_of(returned(running(owner), CODEC, object()))


def test_unserializable_result_is_an_error_that_names_type_and_operation(owner: Process) -> None:
    """The caller learns what could not be kept, and why."""
    error = returned(running(owner), CODEC, object()).error
    assert isinstance(error, ResultNotSerializableError)
    assert "the result of shop.pay (builtins.object) cannot be recorded" in str(error)
    assert error.__cause__ is not None


@pytest.mark.parametrize("error", [ProbeError("a"), KeyboardInterrupt()], ids=repr)
def test_error_is_not_recorded(owner: Process, error: BaseException) -> None:
    """A failure frees the key, unless somebody said that it is an outcome."""
    assert Ending(error=error) == failed(running(owner, record_errors=(ValueError,)), error)


def test_error_that_is_an_outcome_is_recorded(owner: Process) -> None:
    """A failure of a named type is kept, and the caller gets it as it was raised."""
    error = ValueError("declined")
    ending = failed(running(owner, record_errors=(ValueError,)), error)
    assert (error, (Kind.ERROR, encode_error(error))) == (ending.error, body_of(ending))


# ---------------------------------------------------------------------------- verdicts


def test_verdict_done_is_recorded(owner: Process) -> None:
    """A hook that found the value saves a run."""
    assert (Kind.VALUE, CODEC.encode(3)) == body_of(judged(running(owner), CODEC, Done(3)))


def test_verdict_not_done_lets_the_body_run(owner: Process) -> None:
    """A hook that found nothing done changes nothing."""
    assert judged(running(owner), CODEC, NotDone) is None


def test_verdict_unknown_is_in_doubt(owner: Process) -> None:
    """A hook that cannot tell leaves the doubt to people."""
    ending = judged(running(owner), CODEC, Unknown)
    assert ending is not None
    assert (True, InDoubtError) == (ending.in_doubt, type(ending.error))


def test_anything_else_is_no_verdict(owner: Process) -> None:
    """A hook that answers in its own words is told which ones there are."""
    with pytest.raises(TypeError, match=r"returns Done\(value\), NotDone or Unknown, not True"):
        judged(running(owner), CODEC, True)


# ------------------------------------------------------------------------ replaceable


@pytest.mark.parametrize(
    ("ending", "replaceable"),
    [
        (Ending(error=ProbeError()), True),
        (Ending(error=KeyboardInterrupt()), False),
        (Ending(error=ProbeError(), in_doubt=True), False),
        (Ending(value=1), False),
    ],
    ids=["error", "interrupt", "in doubt", "value"],
)
def test_only_a_plain_failure_may_be_replaced(ending: Ending, replaceable: bool) -> None:
    """A fallback stands in for a failure, never for an interrupt or a doubt."""
    assert replaceable == (ending.replaceable is not None)


def test_recorded_failure_may_not_be_replaced(owner: Process) -> None:
    """What is an outcome is the outcome."""
    ending = failed(running(owner, record_errors=(ValueError,)), ValueError())
    assert ending.replaceable is None


# ----------------------------------------------------------------------------- replays


def test_replay_is_a_fresh_copy() -> None:
    """No two callers share a result."""
    copies = [opened(CALL, RECORDED, CODEC, Policy()) for _ in range(2)]
    assert [[1, 2], [1, 2]] == copies
    assert copies[0] is not copies[1]


def test_recorded_error_is_raised_again() -> None:
    """A duplicate of a failure that is an outcome fails alike."""
    with pytest.raises(ValueError, match=r"^declined$"):
        opened(CALL, DECLINED, CODEC, KEEPS_ERRORS)


def test_recorded_error_of_an_unknown_type_keeps_name_and_text() -> None:
    """What cannot be rebuilt here still says what it was."""
    with pytest.raises(RecordedError, match="ValueError: declined"):
        opened(CALL, DECLINED, CODEC, Policy())


@pytest.mark.parametrize("kind", [Kind.OVERSIZED, Kind.UNSERIALIZABLE])
def test_result_that_was_not_kept_is_unavailable(kind: Kind) -> None:
    """A duplicate learns that it ran, and runs nothing."""
    with pytest.raises(ResultUnavailableError, match=f"its result was {kind}"):
        opened(CALL, RECORDED._replace(kind=kind), CODEC, Policy())


@pytest.mark.parametrize(
    ("recorded", "why"),
    [
        (RECORDED._replace(body=b"\xc1"), "cannot be read"),
        (RECORDED._replace(codec=PickleCodec.name), "was written by codec"),
        (DECLINED._replace(body=b"\xc1"), "cannot be read"),
    ],
    ids=["damaged", "another codec", "damaged error"],
)
def test_unreadable_record_says_how_to_go_on(recorded: Recorded, why: str) -> None:
    """A record that cannot be read names its key and `forget`, and runs nothing."""
    with pytest.raises(ResultUnreadableError, match=why) as caught:
        opened(CALL, recorded, CODEC, KEEPS_ERRORS)
    assert ".forget()" in str(caught.value)
    assert CALL.key == caught.value.key


def test_outcome_of_a_replay_is_dated_by_the_store() -> None:
    """An outcome says when it was recorded, until when it is good, and where it came from."""
    outcome = outcome_of(Replay(CALL, RECORDED, "replayed"), CODEC, Policy())
    assert (MOMENT / 1000, timedelta(minutes=1), "00-ab-cd-01", 3) == (
        outcome.created_at.timestamp(),
        outcome.expires_at and outcome.expires_at - outcome.created_at,
        outcome.origin,
        outcome.attempt,
    )


def test_outcome_that_nobody_kept_says_so() -> None:
    """A local duplicate of a call whose completion was lost is not told that it is recorded."""
    recorded = RECORDED._replace(expires_at=0, gone_at=0)
    outcome = outcome_of(Replay(CALL, recorded, "joined"), CODEC, Policy())
    assert (False, None) == (outcome.recorded, outcome.expires_at)


def test_outcome_without_a_span_has_no_origin() -> None:
    """Nobody listened, so there is nothing to link to."""
    recorded = RECORDED._replace(origin="")
    assert outcome_of(Replay(CALL, recorded, "replayed"), CODEC, Policy()).origin is None


# --------------------------------------------------------------------------- peeking


def test_peek_at_nothing() -> None:
    """What has not run has no outcome."""
    assert peeked(CALL, None, CODEC, Policy()) is None


def test_peek_at_a_value() -> None:
    """What has run has its value."""
    outcome = peeked(CALL, RECORDED, CODEC, Policy())
    assert ("replayed", [1, 2]) == (outcome and outcome.kind, outcome and outcome.value)


def test_peek_at_a_failure_does_not_raise() -> None:
    """A recorded failure is looked at, not suffered."""
    outcome = peeked(CALL, DECLINED, CODEC, KEEPS_ERRORS)
    assert ("failed", "declined") == (outcome and outcome.kind, str(outcome and outcome.error))


# ------------------------------------------------------------------------ conclusions


def test_recorded_value_is_the_callers(owner: Process) -> None:
    """The first caller gets its own object, and is told that it is kept."""
    value: list[int] = []
    execution = running(owner, ttl=60)
    outcome = ran(concluded(execution, returned(execution, CODEC, value), Conclusion(True)))
    assert value is outcome.value
    assert ("executed", True, timedelta(minutes=1)) == (
        outcome.kind,
        outcome.recorded,
        outcome.expires_at and outcome.expires_at - outcome.created_at,
    )


@pytest.mark.parametrize(
    ("settings", "recorded"),
    [
        pytest.param({}, False, id="the store did not take it"),
        pytest.param({"record": bool}, False, id="the predicate did not want it"),
        pytest.param({"max_bytes": 1}, True, id="it is too large"),
    ],
)
def test_value_that_is_not_kept_is_the_callers_all_the_same(
    owner: Process, settings: dict[str, Any], recorded: bool
) -> None:
    """A value that was paid for is never thrown away; the caller is told that it is not kept."""
    execution = running(owner, **settings)
    ending = returned(execution, CODEC, "")
    outcome = ran(concluded(execution, ending, Conclusion(recorded)))
    assert ("", False, None) == (outcome.value, outcome.recorded, outcome.expires_at)


def test_winners_value_is_everybodys(owner: Process) -> None:
    """Whoever lost its claim returns what the winner recorded."""
    execution = running(owner)
    conclusion = Conclusion(True, winner=RECORDED)
    came = concluded(execution, returned(execution, CODEC, "mine"), conclusion)
    assert Replay(execution.call, RECORDED, "joined") == came


def test_failure_is_raised_as_it_was(owner: Process) -> None:
    """A body's own exception passes through untouched."""
    execution, error = running(owner), ProbeError()
    with pytest.raises(ProbeError) as caught:
        concluded(execution, failed(execution, error), Conclusion(False))
    assert error is caught.value


def test_failure_is_not_kept_alive_by_its_own_traceback(owner: Process) -> None:
    """An error that its caller has dealt with is gone, and all that it holds with it."""
    execution, error = running(owner), ProbeError()
    alive = weakref.ref(error)
    with contextlib.suppress(ProbeError):
        concluded(execution, failed(execution, error), Conclusion(recorded=False))
    del error
    assert alive() is None


def test_stale_outcome_stands_in_for_a_failure(sync_world: World) -> None:
    """Where the policy allows it, yesterday's answer is better than none."""
    owner, settings = sync_world.process(), {"ttl": 1, "stale_if_error": 60}
    owner.complete(running(owner, **settings), "yesterday's")
    sync_world.clock.advance(2)
    execution = running(owner, **settings)
    came = concluded(execution, failed(execution, ProbeError()), Conclusion(False))
    assert Replay(execution.call, cast("Recorded", execution.stale), "fallback") == came


def test_span_ends_with_what_the_caller_was_told(owner: Process) -> None:
    """The execution remembers its outcome for whoever closes its span."""
    execution = running(owner)
    concluded(execution, returned(execution, CODEC, 1), Conclusion(True))
    assert ("executed", True) == (execution.outcome, execution.recorded)


def test_fallback_stands_in_unrecorded(owner: Process) -> None:
    """A modest answer is marked as one and never kept."""
    execution = running(owner)
    outcome = stand_in(execution, "sorry").outcome()
    assert ("sorry", "fallback", False) == (outcome.value, outcome.kind, outcome.recorded)


def test_fallback_without_a_store_is_no_attempt() -> None:
    """Where nothing could begin, the fallback is attempt zero of nothing."""
    outcome = Ran(CALL, "sorry", "fallback").outcome()
    assert ("sorry", "fallback", 0, None) == (
        outcome.value,
        outcome.kind,
        outcome.attempt,
        outcome.expires_at,
    )


@pytest.mark.parametrize(
    ("errors", "lost"),
    [
        pytest.param([ClaimLostError("lost", key=CALL.key)], True, id="of one task"),
        pytest.param(
            [ClaimLostError("lost", key=CALL.key), ClaimLostError("lost", key=CALL.key)],
            True,
            id="of two",
        ),
        pytest.param(
            [ClaimLostError("lost", key=CALL.key), ProbeError()], False, id="of one of two"
        ),
        pytest.param([ClaimLostError("lost", key="another@1:00")], False, id="of another call"),
    ],
)
def test_claim_lost_in_tasks_of_the_body(
    owner: Process, errors: list[Exception], *, lost: bool
) -> None:
    """A task group tells of a lost claim in a group of errors, and means the same."""
    ending = failed(running(owner), ExceptionGroup("in a task group", errors))
    assert lost is ending.lost
