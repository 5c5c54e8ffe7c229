"""What an answer says of itself: its model, why it ended, and what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .usages import Usage, field, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Findings", "Result", "complete", "result_of", "usage"]

# Why an answer ended that is not the one asked for; each provider has words of its own.
_CUT: Final = frozenset(
    {
        "blocked",
        "blocklist",
        "cancelled",
        "content_filter",
        "error",
        "failed",
        "image_prohibited_content",
        "image_recitation",
        "image_safety",
        "incomplete",
        "language",
        "length",
        "malformed_function_call",
        "max_output_tokens",
        "max_tokens",
        "model_context_window_exceeded",
        "model_length",
        "other",
        "prohibited_content",
        "recitation",
        "refusal",
        "safety",
        "spii",
    }
)
_NESTED: Final = ("response", "message", "delta")
_USAGES: Final = ("usage", "usageMetadata", "usage_metadata")

_Reason = tuple[tuple[str, int], str]


class Result(NamedTuple):
    """What an answer says of itself.

    Args:
        model: The model that answered; empty where the answer does not tell.
        finish_reasons: Why it ended, in the provider's words, one for each choice; after
            `incomplete` and `blocked` comes the reason for that.
        usage: The tokens it took; None where the answer does not tell.
    """

    model: str = ""
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None


def usage(answer: Any) -> Usage | None:
    """Return the tokens that an answer took, or None where it does not tell.

    Args:
        answer: A `Result`, what an SDK returned, or the same as a mapping.
    """
    return result_of(answer).usage


def complete(answer: Any) -> bool:
    """Tell whether an answer is all there: neither cut off at a limit nor filtered.

    Args:
        answer: A `Result`, what an SDK returned, or the same as a mapping.
    """
    return _CUT.isdisjoint(reason.lower() for reason in result_of(answer).finish_reasons)


def result_of(answer: Any) -> Result:
    """Return what an answer says of itself."""
    if isinstance(answer, Result):
        return answer
    reasons = tuple(reason for _, reason in _reasons(answer))
    return Result(_model(answer), reasons, usage_of(_counted(answer)))


class Findings:
    """What the events of a stream say of the answer, put together."""

    def __init__(self) -> None:
        self._model = ""
        self._reasons: dict[tuple[str, int], str] = {}
        self._counted: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> None:
        """Take note of what an event says, or a whole answer; later events count for more."""
        for part in (event, *map(event.get, _NESTED)):
            if isinstance(part, dict):
                self._model = _model(part) or self._model
                self._reasons.update(_reasons(part))
                counted = _counted(part)
                if usage_of(counted) is not None:
                    self._counted |= {name: at for name, at in counted.items() if at is not None}

    @property
    def result(self) -> Result:
        """All of it."""
        reasons = tuple(reason for _, reason in sorted(self._reasons.items()))
        return Result(self._model, reasons, usage_of(self._counted))


def _model(answer: Any) -> str:
    model = field(answer, "model", "modelVersion", "model_version")
    return model if isinstance(model, str) else ""


def _counted(answer: Any) -> Any:
    """Return what of an answer may hold counts of tokens; some hold them themselves."""
    return field(answer, *_USAGES) or field(field(answer, "x_groq"), "usage") or answer


def _reasons(answer: Any) -> Iterator[_Reason]:
    for name in ("choices", "candidates"):
        choices = field(answer, name)
        for place, choice in enumerate(choices if isinstance(choices, list | tuple) else ()):
            index = field(choice, "index")
            at = index if isinstance(index, int) else place
            yield from _words((name, at), field(choice, "finish_reason", "finishReason"))
    yield from _words(("stop", 0), field(answer, "stop_reason", "done_reason"))
    yield from _of_blocked(answer)
    if field(answer, "object") == "response":
        yield from _words(("status", 0), field(answer, "status"))
        yield from _words(("status", 1), field(field(answer, "incomplete_details"), "reason"))


def _of_blocked(answer: Any) -> Iterator[_Reason]:
    blocked = field(
        field(answer, "promptFeedback", "prompt_feedback"), "blockReason", "block_reason"
    )
    if blocked is not None:
        yield ("blocked", 0), "blocked"
        yield from _words(("blocked", 1), blocked)


def _words(place: tuple[str, int], reason: Any) -> Iterator[_Reason]:
    reason = getattr(reason, "value", reason)  # of an enumeration
    if isinstance(reason, str):
        yield place, reason
