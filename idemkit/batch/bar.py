"""A bar on the standard error output, drawn by tqdm."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from tqdm import tqdm  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from .progress import Progress

__all__ = ["Bar"]


# It is drawn when an item comes, and needs no thread that watches over it; nor does the collector
# draw it, where nobody could catch what comes of that.
_Tqdm: Any = type("_Tqdm", (tqdm,), {"monitor_interval": 0, "__del__": lambda _: None})

# A narrow terminal cuts off what is last.
_WITH_END: Final = "{percentage:3.0f}% {n_fmt}/{total_fmt}{postfix} [{elapsed}<{remaining}] {bar}"
_WITHOUT_END: Final = "{n_fmt}{postfix} [{elapsed}]"

_undrawn: Final = suppress(OSError, ValueError)
"""Nobody's batch ends because its bar could not be drawn."""


class Bar:
    """Show how far a `.map` has come.

    Args:
        total: How many items there are, if that is known.
    """

    def __init__(self, total: int | None) -> None:
        form = _WITHOUT_END if total is None else _WITH_END
        self._bar = _Tqdm(disable=True)
        if sys.stderr is not None:  # services have none
            with _undrawn:
                self._bar = _Tqdm(total=total, bar_format=form, file=sys.stderr, miniters=1)

    def __call__(self, progress: Progress) -> None:
        """Show it, one item further."""
        executed, replayed, failed, tokens_saved, _ = progress
        counts = f"{executed} executed, {replayed} replayed, {failed} failed"
        saved = f", {tokens_saved} tokens saved" if tokens_saved else ""
        with _undrawn:
            self._bar.set_postfix_str(counts + saved, refresh=False)
            self._bar.update()

    def close(self) -> None:
        """Draw it a last time."""
        with _undrawn:
            self._bar.close()
