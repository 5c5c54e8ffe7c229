"""How far a `.map` has come, and how that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ..core.telemetry.harmless import harmless

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..core.call import OutcomeKind
    from .bar import Bar

__all__ = ["Count", "Progress", "Wanted", "load_bar"]


class Progress(NamedTuple):
    """What has become of the items handed out so far.

    Args:
        executed: How many ran.
        replayed: How many had an outcome that could be replayed.
        failed: How many raised, or would have, had no modest answer stood in.
        tokens_saved: What those replayed took when they ran, if they are answers of a model.
        total: How many items there are, if that is known.
    """

    executed: int = 0
    replayed: int = 0
    failed: int = 0
    tokens_saved: int = 0
    total: int | None = None


Wanted: TypeAlias = "bool | Callable[[Progress], object]"
"""Whether to show a bar, or what to call after each item."""

_FIELDS: Final[dict[OutcomeKind, str]] = {
    "executed": "executed",
    "recovered": "executed",
    "unprotected": "executed",
    "replayed": "replayed",
    "joined": "replayed",
    "fallback": "failed",
    "failed": "failed",
}


class Count:
    """Count what becomes of items, if anybody wants to know.

    Args:
        wanted: Whether to show a bar, or what to call after each item.
        total: How many items there are, if that is known.
    """

    def __init__(self, wanted: Wanted, total: int | None) -> None:
        self._progress = Progress(total=total)
        self._bar: Bar | None = load_bar()(total) if wanted is True else None
        self._tell = self._bar if isinstance(wanted, bool) else wanted

    def add(self, kind: OutcomeKind, value: Any) -> None:
        """Count one more item."""
        if self._tell is None:
            return
        name, before = _FIELDS[kind], self._progress
        tokens = before.tokens_saved + (_tokens(value) if name == "replayed" else 0)
        self._progress = before._replace(tokens_saved=tokens, **{name: getattr(before, name) + 1})
        self._tell(self._progress)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def _tokens(value: Any) -> int:
    from .. import llm  # noqa: PLC0415 - for those who count

    with harmless:  # what a result says of itself may fail, and nobody's batch ends for that
        if (usage := llm.usage(value)) is not None:
            return usage.input_tokens + usage.output_tokens
    return 0


def load_bar() -> type[Bar]:
    """Return what shows progress.

    Raises:
        ModuleNotFoundError: The extra for it is not installed.
    """
    try:
        from .bar import Bar  # noqa: PLC0415 - an extra, loaded on demand
    except ModuleNotFoundError as error:
        message = 'progress=True needs an extra: pip install "idemkit-toolkit[progress]"'
        raise ModuleNotFoundError(message, name=error.name) from error
    return Bar
