"""Tests of `idemkit.core.execution`: one running body, from its claim to its settlement."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from opentelemetry import trace

from idemkit.core.call import Call
from idemkit.core.ending import Ending
from idemkit.core.execution import Execution, current_execution, refuse_reentry
from idemkit.errors import ReentrantCallError
from idemkit.protocol import Standing, State
from idemkit.testing.faults import request_lost
from tests.core.worlds import CALL, Backend, Process, World
from tests.stand_ins import in_child

OTHER = CALL._replace(address="07e4" * 8)


class ProbeError(Exception):
    """What a body raises."""


@pytest.fixture
def owner(sync_world: World) -> Process:
    """Return a process that may run bodies."""
    return sync_world.process()


def fail(owner: Process, execution: Execution) -> None:
    """Settle an execution whose body failed."""
    owner.settle(execution, Ending(error=ProbeError()))


def succeed(owner: Process, execution: Execution) -> None:
    """Settle an execution whose body returned."""
    owner.complete(execution, "paid")


def reentered() -> bool:
    """Say whether the call runs around the caller."""
    try:
        refuse_reentry(CALL)
    except ReentrantCallError:
        return True
    return False


# ---------------------------------------------------------------------------- current


def test_nothing_is_current_outside() -> None:
    """Code that nobody guards runs in no execution."""
    assert current_execution() is None


def test_body_finds_its_execution(owner: Process) -> None:
    """The innermost guarded call is the current one."""
    with owner.execution() as outer:
        with owner.execution(OTHER) as inner:
            innermost = current_execution()
            fail(owner, inner)
        assert (inner, outer) == (innermost, current_execution())
        fail(owner, outer)


def test_execution_is_current_no_more_after_its_body(owner: Process) -> None:
    """What ran is over."""
    with owner.execution() as execution:
        fail(owner, execution)
    assert current_execution() is None


@pytest.mark.parametrize("settle", [fail, succeed])
def test_settled_execution_is_not_current(
    owner: Process, settle: Callable[[Process, Execution], None]
) -> None:
    """Whatever comes after settlement runs outside."""
    with owner.execution() as execution:
        settle(owner, execution)
        assert current_execution() is None


# -------------------------------------------------------------------------- re-entrancy


def test_body_may_not_ask_for_itself(owner: Process) -> None:
    """A call that would wait for itself is refused, and its key named."""
    with owner.execution() as execution:
        with pytest.raises(ReentrantCallError) as caught:
            owner.begin()
        fail(owner, execution)
    assert CALL.key == caught.value.key


def test_other_keys_nest(owner: Process) -> None:
    """A body may call what it likes, with another key."""
    with owner.execution() as outer, owner.execution(OTHER) as inner:
        fail(owner, inner)
        fail(owner, outer)
    assert (State.FAILED, State.FAILED) == (
        owner.world.record().state,
        owner.world.record(OTHER).state,
    )


def test_body_may_not_ask_for_what_runs_around_it(owner: Process) -> None:
    """A call in a call in itself would wait just the same."""
    with owner.execution() as outer, owner.execution(OTHER) as inner:
        assert reentered()
        fail(owner, inner)
        fail(owner, outer)


async def test_tasks_of_a_body_are_in_it(owner: Process) -> None:
    """A task that a body starts may not wait for that body."""

    async def task() -> bool:
        return reentered()

    with owner.execution() as execution:
        found = await asyncio.create_task(task())
        fail(owner, execution)
    assert found


def test_threads_of_a_body_are_in_it(owner: Process, threads: ThreadPoolExecutor) -> None:
    """A thread that was given the body's context may not wait for that body."""
    with owner.execution() as execution:
        found = threads.submit(contextvars.copy_context().run, reentered).result()
        fail(owner, execution)
    assert found


def test_context_that_outlives_its_call_is_free(owner: Process) -> None:
    """A task left behind by a call may call the same again, once that is settled."""
    with owner.execution() as execution:
        context = contextvars.copy_context()
        fail(owner, execution)
    assert not context.run(reentered)


# -------------------------------------------------------------------------- left behind


def test_unsettled_claim_is_given_back_in_doubt(owner: Process) -> None:
    """A body that nobody settled is left to the beat thread."""
    with owner.execution() as execution:
        pass
    owner.keeper.tick()
    assert (True, State.RUNNING, b"") == (
        execution.settled,
        owner.world.record().state,
        owner.world.record().token,
    )


def test_settled_claim_is_not_given_back_twice(owner: Process) -> None:
    """What was settled stays as it was settled."""
    with owner.execution() as execution:
        fail(owner, execution)
    owner.keeper.tick()
    assert State.FAILED == owner.world.record().state


def test_execution_may_be_left_without_being_entered(owner: Process) -> None:
    """Whoever only guards the way out has the claim given back too."""
    with ExitStack() as stack:
        stack.push(owner.execution())
    owner.keeper.tick()
    assert b"" == owner.world.record().token


def test_execution_may_be_left_in_another_context(owner: Process) -> None:
    """A coroutine that nobody finished is closed anywhere, and its claim given back."""
    execution = owner.execution()
    contextvars.copy_context().run(execution.__enter__)
    execution.__exit__(None, None, None)
    owner.keeper.tick()
    assert b"" == owner.world.record().token


# --------------------------------------------------------------------------- what it is


def test_first_run_is_executed(owner: Process) -> None:
    """A body that runs for the first time is simply executed."""
    assert "executed" == owner.execution().kind


def test_run_after_an_abandoned_one_is_recovered(owner: Process) -> None:
    """Whoever takes over says so."""
    owner.execution()
    owner.world.clock.advance(31)
    assert "recovered" == owner.world.process().execution().kind


def test_run_without_a_store_is_unprotected(owner: Process) -> None:
    """Whoever runs unguarded says so."""
    owner.store.suffer("claim", request_lost)
    assert "unprotected" == owner.execution(on_store_error="run").kind


def test_forked_child_owns_nothing(owner: Process) -> None:
    """A claim belongs to the process that made it."""
    execution = owner.execution()
    assert (True, "False") == (execution.ours, in_child(lambda: execution.ours))


def test_ttl_is_fixed_before_the_body(sync_world: World) -> None:
    """A hook on the call decides once how long its outcome is good for."""
    execution = sync_world.process().execution(ttl=lambda call: len(call.fingerprint))
    execution.fix_ttl()
    assert float(len(CALL.fingerprint)) == execution.ttl


def test_body_of_a_closed_loop_is_not_alive() -> None:
    """Whoever keeps the claim can see that nobody will settle it."""
    with ThreadPoolExecutor(1) as pool:
        world = World("async", asyncio.run, pool)
        assert not world.process().execution().alive()


# -------------------------------------------------------------------------------- lease


def test_lease_is_good_at_first(owner: Process) -> None:
    """A fresh claim is valid."""
    assert owner.execution().valid()


def test_answer_to_an_old_beat_renews_no_further(owner: Process) -> None:
    """Validity counts from when a beat was sent, however late its answer came."""
    execution = owner.execution()
    execution.answered(Standing.HELD, owner.world.clock() - 60)
    assert not execution.valid()


def test_loser_heals_nothing(owner: Process) -> None:
    """Who knows that the claim is lost does not put it back, should the winner's be gone later."""
    execution, now = owner.execution(), owner.world.clock()
    execution.answered(Standing.SUPERSEDED, now)
    assert (False, False) == (execution.valid(), execution.beat(now).heal)


def test_owner_of_what_is_gone_heals(owner: Process) -> None:
    """A claim that nobody has may be put back for as long as its lease is good."""
    execution, now = owner.execution(), owner.world.clock()
    execution.answered(Standing.GONE, now)
    assert (True, True) == (execution.valid(), execution.beat(now).heal)


def test_new_claim_of_the_same_call_is_valid(owner: Process) -> None:
    """Whoever gets its claim back goes on under that."""
    execution, now = owner.execution(), owner.world.clock()
    execution.answered(Standing.HELD, now - 60)
    execution.regranted(execution.grant._replace(attempt=3), now)
    assert (True, 3) == (execution.valid(), execution.grant.attempt)


def test_new_claim_needs_no_mending(owner: Process) -> None:
    """What was lost under the old one is missing no more: others have gone on since."""
    execution, now = owner.execution(), owner.world.clock()
    execution.answered(Standing.HEALED, now)
    healed = execution.healed
    execution.regranted(execution.grant, now)
    assert (True, False) == (healed, execution.healed)


# ---------------------------------------------------------------------------- telemetry


def test_body_runs_in_its_span(owner: Process, backend: Backend) -> None:
    """Spans of a body hang below that of its execution, whose name is what is recorded."""
    with owner.execution() as execution:
        inside = trace.get_current_span().get_span_context()
        fail(owner, execution)
    (span,) = backend.spans.get_finished_spans()
    assert inside == span.context
    assert f"{inside.trace_id:032x}-{inside.span_id:016x}" in execution.origin


def test_unheard_body_has_no_origin(owner: Process) -> None:
    """Without a span there is nothing to link to."""
    assert "" == owner.execution().origin


def test_span_tells_how_the_body_ended(owner: Process, backend: Backend) -> None:
    """A failure's type is in the span, and no more of it."""

    def run() -> None:
        with owner.execution() as execution:
            fail(owner, execution)
            raise ProbeError("secret")

    with pytest.raises(ProbeError):
        run()
    (span,) = backend.spans.get_finished_spans()
    attributes: dict[str, Any] = dict(span.attributes or {})
    assert ("execute shop.pay", True) == (span.name, "ProbeError" in attributes["error.type"])


# ---------------------------------------------------------------------------- journal


def test_settled_executions_are_let_go(owner: Process) -> None:
    """A context that nobody tidies up does not keep all the calls that were left in it."""

    def leave(call: Call) -> Execution:
        execution = owner.execution(call).__enter__()
        succeed(owner, execution)
        return execution

    context = contextvars.copy_context()
    assert [None, None] == [context.run(leave, call).parent for call in (CALL, OTHER)]


def test_journal_is_made_once(owner: Process) -> None:
    """Threads that ask at one time count in the same journal."""
    execution = owner.execution()
    with ThreadPoolExecutor(8) as pool:
        journals = {id(pool.submit(lambda: execution.journal).result()) for _ in range(50)}
    assert 1 == len(journals)


def test_journal_is_made_on_demand(owner: Process) -> None:
    """A call without steps has none."""
    assert None is owner.execution()._journal
