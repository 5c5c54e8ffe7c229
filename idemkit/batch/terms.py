"""What can be said of a `.map`, and what of it makes no sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..core.policy import chosen, positive
from ..options import check_hook
from .progress import load_bar

if TYPE_CHECKING:
    from .progress import Wanted

__all__ = ["OnError", "Terms"]

OnError: TypeAlias = Literal["raise", "collect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How to go over many items.

    Args:
        concurrency: How many bodies run at once, at most. One alone runs where the next result is
            asked for, and else they run in threads or tasks.
        progress: Whether to show a bar, on the standard error output; or what to call with the
            `Progress` after each item.
        on_error: ``"raise"`` the first failure in the order of the items, or ``"collect"``
            outcomes, those of kind ``"failed"`` among them.
    """

    concurrency: int = 8
    progress: Wanted = False
    on_error: OnError = "raise"

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            TypeError: `progress` is neither a bool nor callable, or nobody would await it.
            ValueError: `concurrency` or `on_error` is out of range.
            ModuleNotFoundError: A bar is to be shown, and the extra for it is not installed.
        """
        positive(self.concurrency, "concurrency")
        chosen(self.on_error, "on_error", OnError)
        if self.progress is True:
            load_bar()
        elif self.progress is not False:
            _check(self.progress)


def _check(progress: object) -> None:
    if not callable(progress):
        message = f"progress must be True, False or a callable, not {progress!r}"
        raise TypeError(message)
    check_hook("progress", progress, awaited=False)
