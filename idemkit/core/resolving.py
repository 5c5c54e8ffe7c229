"""Settle by hand what no attempt could: somebody has found out what became of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import ResultNotSerializableError, StoreError
from ..protocol import (
    Acquired,
    Claim,
    Done,
    Entry,
    Kind,
    Release,
    Situation,
    State,
    Step,
    classify,
)
from .call import new_token
from .codecs import TypedCodec
from .doorbell import claim
from .refusals import in_progress, refusal
from .result import Result, completion, granted

if TYPE_CHECKING:
    from ..protocol import Grant, Record, Standing, Terms
    from ..stores.base import Store
    from .call import Call
    from .codecs import Codec
    from .policy import Policy
    from .wiring import Wiring

__all__ = ["found_out", "resolve"]


def found_out(call: Call, value: Any, codec: Codec | None, policy: Policy) -> Result:
    """Return a value that somebody has found out, ready to be recorded.

    Raises:
        ResultNotSerializableError: It cannot become bytes.
    """
    codec = codec or TypedCodec(type(value))
    try:
        body = codec.encode(value)
    except Exception as error:
        message = f"this value cannot be recorded, and nothing has been settled: {error}"
        raise ResultNotSerializableError(message, key=call.key) from error
    return Result(Kind.VALUE, codec.name, body, policy.ttl_of(call), policy.stale_seconds)


async def resolve(
    wiring: Wiring, call: Call, terms: Terms, result: Result, step: str | None
) -> bool:
    """Record `result` as the outcome of a call that failed or vanished, or of a step of it.

    Returns:
        Whether there was anything to settle.

    Raises:
        InProgressError: The call is running.
    """
    record = await _unsettled(wiring.store, call)
    if record is None:
        return False
    intent = next((entry for entry in record.journal if entry.name == step), None)
    if step is not None and (intent is None or intent.body is not None):
        return False
    grant = await _claimed(wiring, call, record, terms)
    if grant is None:
        return False
    try:
        standing = await _settle(wiring.store, call.address, grant, result, intent)
    except GeneratorExit:
        raise  # nothing more may be awaited: the claim ends with its lease
    except BaseException:
        release = Release(grant, "unresolved", in_doubt=record.state is not State.FAILED)
        with suppress(StoreError):
            await wiring.frame.finish(wiring.store.release(call.address, release))
        raise
    return not standing.lost


async def _unsettled(store: Store, call: Call) -> Record | None:
    """Return the record of a call that failed or vanished."""
    found = await store.peek(call.address)
    if found is None:
        return None
    record, now = found
    match classify(record, now):
        case Situation.RUNNING:
            raise in_progress(call, record.lease_until - now)
        case Situation.ABANDONED | Situation.FAILED:
            return record
        case _:
            return None


async def _claimed(wiring: Wiring, call: Call, record: Record, terms: Terms) -> Grant | None:
    """Claim in the name of its owner, whatever the policy and however often it was abandoned.

    Raises:
        IdempotencyError: Somebody else was faster.
    """
    above = replace(terms, take_over=True, max_attempts=record.abandoned + 2)
    command = Claim(new_token(), record.fingerprint, above)
    decision = (await claim(wiring.store, call.address, command, wiring.frame)).decision
    match decision:
        case Acquired():
            return granted(command, decision)
        case Done():
            return None
        case _:
            raise refusal(call, decision)


async def _settle(
    store: Store, address: str, grant: Grant, result: Result, intent: Entry | None
) -> Standing:
    if intent is None:
        return await store.complete(address, completion(grant, result))
    done = intent._replace(codec=result.codec, body=result.body)
    standing = await store.step(address, Step(grant, (done,), heal=False))
    await store.release(address, Release(grant, "resolved"))
    return standing
