"""What every door does right before and right after a body, in the body's own frame and colour."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .core.ending import Ending, judged, returned, stopped
from .effects import callback_plan, perform, perform_async

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .core.call import Call
    from .core.codecs import Codec
    from .core.execution import Execution

    Effects = Sequence[Callable[[Any], Any]]

__all__ = ["after", "after_async", "awaited", "before", "before_async"]


def before(execution: Execution, codec: Codec) -> Ending | None:
    """Ask the hooks that come before the body; return an ending if it need not run."""
    hook = _reconciler(execution)
    try:
        execution.fix_ttl()
        return None if hook is None else judged(execution, codec, hook(execution.call))
    except BaseException as error:  # noqa: BLE001 - raised again once the claim is given back
        return Ending(error=error, in_doubt=hook is not None)


async def before_async(execution: Execution, codec: Codec) -> Ending | None:
    """Ask the hooks that come before the body; return an ending if it need not run."""
    hook = _reconciler(execution)
    try:
        execution.fix_ttl()
        if hook is None:
            return None
        return judged(execution, codec, await awaited(hook(execution.call)))
    except GeneratorExit:
        # Nobody will resume this coroutine, so nothing more may be awaited in it: the claim
        # is left to the beat thread.
        raise
    except BaseException as error:  # noqa: BLE001 - raised again once the claim is given back
        return Ending(error=error, in_doubt=hook is not None)


def after(execution: Execution, codec: Codec, effects: Effects, value: Any) -> Ending:
    """Return the ending of a body that came to `value`, with the effects that follow it."""
    try:
        for place, effect in enumerate(effects):
            perform(callback_plan(effect, place), None, effect, (value,), {})
        return returned(execution, codec, value)
    except BaseException as error:  # noqa: BLE001 - an effect's error is no outcome of the body
        return stopped(execution, error)


async def after_async(execution: Execution, codec: Codec, effects: Effects, value: Any) -> Ending:
    """Return the ending of a body that came to `value`, with the effects that follow it."""
    try:
        for place, effect in enumerate(effects):
            await perform_async(callback_plan(effect, place), None, effect, (value,), {})
        return returned(execution, codec, value)
    except GeneratorExit:
        raise  # likewise
    except BaseException as error:  # noqa: BLE001 - an effect's error is no outcome of the body
        return stopped(execution, error)


async def awaited(value: Any) -> Any:
    """Return what a hook of either colour answered."""
    return await value if inspect.isawaitable(value) else value


def _reconciler(execution: Execution) -> Callable[[Call], Any] | None:
    """Return the hook to ask before the body runs, if the attempt before was abandoned."""
    hook = execution.policy.on_abandoned
    return hook if callable(hook) and execution.grant.abandoned else None
