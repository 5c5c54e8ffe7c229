"""Those who produce an answer that is taken down, be it an application's or another server's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..producers import Producer
from .follower import Answer
from .transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from ..core.engine import Engine
    from ..core.execution import Execution
    from ..core.reading import Reader
    from ..errors import StreamInterruptedError
    from .answers import Head
    from .policy import HTTPPolicy

__all__ = ["Answering"]


class Answering(Producer):
    """One who produces an answer, and is over when its transcript is.

    Args:
        engine: Settles.
        execution: The claim under which it runs.
        policy: Which answers are kept.
        lasting: Whether it goes on when its last reader has left.
        verbatim: See `Transcript`.
    """

    def __init__(
        self,
        engine: Engine,
        execution: Execution,
        policy: HTTPPolicy,
        *,
        lasting: bool,
        verbatim: bool = False,
    ) -> None:
        super().__init__(engine, execution, lasting=lasting)
        self.transcript: Transcript = Transcript(self, policy, verbatim=verbatim)
        self.error: BaseException | None = None
        """What it ended with before its answer was complete."""

    @property
    def waited_for(self) -> bool:
        """Whether closing waits for it: always, for a server that stops has lost its clients.

        And what another server was asked for has been paid for.
        """
        return True

    @property
    def taken_over(self) -> bool:
        """Whether another caller has the claim, whose answer is the request's."""
        return self.transcript.overtaken(self.error)

    def stop(self, error: StreamInterruptedError | None = None) -> None:
        """Ask it to stop; a complete answer is being recorded, and what comes then is its own."""
        if not self.transcript.ending:
            super().stop(error)

    def _fail(self, error: BaseException) -> Coroutine[Any, Any, BaseException]:
        """Return what settles an answer that will never be whole, and says what readers hear."""
        self.error = error
        return self.transcript.fail(error)

    def answer(self, chunks: Sequence[bytes], reader: Reader) -> Answer:
        """Return the answer to whoever it is made for.

        Args:
            chunks: The first that have come.
            reader: Where they came from, and more will.
        """
        head, whole = cast("Head", self.transcript.head), self.transcript.whole
        if whole is not None:
            return Answer(head, self.execution.kind, (whole,))
        return Answer(head, self.execution.kind, chunks[1:], reader)
