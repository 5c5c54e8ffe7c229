"""What of a stream is worth reading: bytes that nothing else has, and members that are not idle."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["DONE", "LINES", "Marks", "marks_of"]

DONE: Final = b"[DONE]"
"""What some providers write instead of a last event."""


class Marks(NamedTuple):
    """What is worth reading, told by bytes that are not.

    Args:
        words: Stand nowhere else, or rarely.
        members: Names of JSON, each with the idle value that it usually has, in both spellings.
    """

    words: tuple[bytes, ...]
    members: tuple[tuple[bytes, bytes, bytes], ...]

    def are_in(self, pieces: bytes) -> bool:
        """Tell whether there may be something to read; only if there is nothing, it is sure."""
        for word in self.words:
            if word in pieces:
                return True
        for name, tight, loose in self.members:
            found = pieces.count(name)
            if found and found != pieces.count(tight) + pieces.count(loose):
                return True
        return False


_ERROR_WORDS: Final = (b"event: error", b"event:error")
_ERROR: Final = (b'"error"', b'"error":null', b'"error": null')
_REASON: Final = (b'"finish_reason"', b'"finish_reason":null', b'"finish_reason": null')
_USAGE: Final = (b'"usage"', b'"usage":null', b'"usage": null')
_LAST: Final = (b'"done"', b'"done":false', b'"done": false')
_RESPONSE_ENDS: Final = tuple(
    b"response." + end for end in (b"completed", b"incomplete", b"failed", b"cancelled")
)

_ERRORS: Final = Marks(_ERROR_WORDS, (_ERROR,))
_CHAT: Final = Marks((DONE, *_ERROR_WORDS), (_ERROR, _REASON, _USAGE))
_EVENTS: Final = {
    "chat.completions": _CHAT,
    "completions": _CHAT,
    "messages": Marks((b"message_", *_ERROR_WORDS), (_ERROR,)),
    "responses": Marks((*_RESPONSE_ENDS, *_ERROR_WORDS), (_ERROR,)),
}

LINES: Final = Marks((), (_LAST, _ERROR))
"""Of JSON texts, one on each line."""


def marks_of(name: str) -> Marks:
    """Return what is worth reading of the events of an answer.

    Args:
        name: The profile of the request.
    """
    return _EVENTS.get(name, _ERRORS)
