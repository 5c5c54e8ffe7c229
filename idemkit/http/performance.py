"""A WSGI application at work on one request, in the thread of that request.

Its answer is recorded as it is handed out, and handed out as it comes, but for its end, which is
recorded first. Closing the answer early, as servers do when a client has left, finishes it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from contextvars import copy_context
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ..core.colour import drive
from ..errors import StreamInterruptedError
from ..producers import Producer
from .answers import Head
from .transcript import Transcript
from .views import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    from ..core.engine import Engine
    from ..core.execution import Execution
    from .policy import HTTPPolicy

    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]

__all__ = ["Performance", "status_line"]

logger: Final = logging.getLogger("idemkit")


def status_line(status: int) -> str:
    """Return a status as WSGI has it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
