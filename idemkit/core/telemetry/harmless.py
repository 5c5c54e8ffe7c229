"""The fence around telemetry: what fails behind it costs its signals and nothing else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

_logger = logging.getLogger("idemkit")


class Harmless:
    """A block whose exceptions end in the log, the first of them only."""

    def __init__(self) -> None:
        self.complained: bool = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if not self.complained:
            self.complained = True
            # Neither message nor traceback: either may quote what the user traces.
            _logger.warning(
                "telemetry failed with %s and was skipped; this is said once",
                type_name(error),
                extra={"error_type": type_name(error)},
            )
        return True


def type_name(error: BaseException) -> str:
    """Return the qualified name of an exception's class, without the module of a built-in one."""
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


harmless: Final = Harmless()
