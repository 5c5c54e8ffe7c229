"""What every door does right before and right after a body, in the body's own frame and colour."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .core.ending import judged, returned, stopped
from .core.verdict import Done, NotDone
from .effects import callback_plan, perform, perform_async

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .core.call import Call
    from .core.codecs import Codec
    from .core.ending import Ending
    from .core.execution import Execution

    Effects = Sequence[Callable[[Any], Any]]

__all__ = ["after", "after_async", "awaited", "before", "before_async"]


def before(execution: Execution, codec: Codec, effects: Effects) -> Ending | None:
    """Ask the hooks that come before the body; return an ending if it need not run.

    What a hook has found done may still lack its effects, so they follow, and where one fails the
    call stays in doubt: the next attempt asks the hook again.
    """
    hook = _reconciler(execution)
    try:
        execution.fix_ttl()
        verdict = NotDone if hook is None else hook(execution.call)
        if isinstance(verdict, Done):
            _follow(effects, verdict.value)
        return judged(execution, codec, verdict)
    except BaseException as error:  # noqa: BLE001 - raised again once the claim is given back
        return stopped(execution, error)._replace(in_doubt=hook is not None)


async def before_async(execution: Execution, codec: Codec, effects: Effects) -> Ending | None:
    """Ask the hooks that come before the body, as `before` does, and await them."""
    hook = _reconciler(execution)
    try:
        execution.fix_ttl()
        verdict = NotDone if hook is None else await awaited(hook(execution.call))
        if isinstance(verdict, Done):
            await _follow_async(effects, verdict.value)
        return judged(execution, codec, verdict)
    except GeneratorExit:
        # Nobody will resume this coroutine, so nothing more may be awaited in it: the claim
        # is left to the beat thread.
        raise
    except BaseException as error:  # noqa: BLE001 - raised again once the claim is given back
        return stopped(execution, error)._replace(in_doubt=hook is not None)


def after(execution: Execution, codec: Codec, effects: Effects, value: Any) -> Ending:
    """Return the ending of a body that came to `value`, with the effects that follow it."""
    try:
        _follow(effects, value)
        return returned(execution, codec, value)
    except BaseException as error:  # noqa: BLE001 - an effect's error is no outcome of the body
        return stopped(execution, error)


async def after_async(execution: Execution, codec: Codec, effects: Effects, value: Any) -> Ending:
    """Return the ending of a body that came to `value`, with the effects that follow it."""
    try:
        await _follow_async(effects, value)
        return returned(execution, codec, value)
    except GeneratorExit:
        raise  # likewise
    except BaseException as error:  # noqa: BLE001 - an effect's error is no outcome of the body
        return stopped(execution, error)


def _follow(effects: Effects, value: Any) -> None:
    for place, effect in enumerate(effects):
        perform(callback_plan(effect, place), None, effect, (value,), {})


async def _follow_async(effects: Effects, value: Any) -> None:
    for place, effect in enumerate(effects):
        await perform_async(callback_plan(effect, place), None, effect, (value,), {})


async def awaited(value: Any) -> Any:
    """Return what a hook of either colour answered."""
    return await value if inspect.isawaitable(value) else value


def _reconciler(execution: Execution) -> Callable[[Call], Any] | None:
    """Return the hook to ask before the body runs, if the attempt before was abandoned."""
    hook = execution.policy.on_abandoned
    return hook if callable(hook) and execution.grant.abandoned else None
