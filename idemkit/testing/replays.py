"""Whether a replay is what the body returned: each outcome is read back and compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..protocol import Kind

if TYPE_CHECKING:
    from ..core.call import Call
    from ..core.codecs import Codec
    from ..core.ending import Ending

__all__ = ["ReplayCheck"]

_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


class _Kept(NamedTuple):
    """One recorded result: what the caller has, and what duplicates will get."""

    operation: str
    codec: Codec
    value: Any
    body: bytes

    def problem(self, moment: str) -> str | None:
        """Say how a replay differs from the value that the caller has, if it does."""
        try:
            replay = self.codec.decode(self.body)
        except Exception as error:  # noqa: BLE001 - the codec may be the user's
            return f"the result of {self.operation} cannot be read back: {error!r}"
        if type(self.value) is not type(replay):
            types = f"{_name(type(self.value))}, but replays as {_name(type(replay))}"
            return f"{self.operation} returned {types}"
        if _same(self.value, replay, self.codec):
            return None
        return f"{self.operation} {moment} {self.value!r}, but replays as {replay!r}"


class ReplayCheck:
    """Replay every guarded call that runs, and compare; a listener at the named points.

    Attributes:
        problems: What was found so far, a sentence each.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._kept: list[_Kept] = []

    def __call__(self, _name: str, /, *subject: Any) -> None:
        """Look at a call whose body has returned; other points tell nothing of one.

        Raises:
            AssertionError: A duplicate would not get what the body returned.
        """
        if subject:
            self._compare(*subject)

    def _compare(self, call: Call, codec: Codec, ending: Ending) -> None:
        result = ending.result
        if result is None:
            return
        if result.kind is Kind.VALUE:
            kept = _Kept(call.operation, codec, ending.value, result.body)
            problem = kept.problem("returned")
            self._kept += [] if problem else [kept]
        else:
            problem = f"the result of {call.operation} is {result.kind}, so there is no replay"
            problem += "" if ending.error is None else f": {ending.error}"
        if problem is not None:
            self.problems.append(problem)
            raise AssertionError(problem)

    def changed(self) -> list[str]:
        """Return what has become of results since they were recorded.

        A result that was changed is no error by itself, for every replay is a fresh copy. But if
        the body returns it again, or others hold it, they see the change, and duplicates do not.
        """
        found = [kept.problem("returned what is now") for kept in self._kept]
        return [problem for problem in found if problem]


def _same(value: Any, replay: Any, codec: Codec) -> bool:
    try:
        if value == replay:
            return True
    except Exception:  # noqa: BLE001, S110 - arrays refuse to be asked; then their bytes are
        pass
    # Not equal to themselves: NaN, and whatever is compared by identity.
    return _told(value) == _told(replay) and codec.encode(value) == codec.encode(replay)


def _told(value: Any) -> str:
    return _ADDRESS.sub("", repr(value))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
