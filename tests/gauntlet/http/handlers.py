"""Handlers that count their executions, stop in the middle, or fail the first time."""

from collections.abc import Iterator

from tests.gauntlet.crowds import Pause
from tests.gauntlet.http.web import Request, Response

__all__ = ["Counter", "Faltering", "Paused", "Streamed"]


class Counter:
    """Answers with the number of its execution.

    Args:
        status: Of its answers.
        headers: Likewise.
    """

    def __init__(self, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.runs = 0
        self._status = status
        self._headers = headers

    def __call__(self, _request: Request) -> Response:
        """Answer."""
        self.runs += 1
        return Response(b"%d" % self.runs, self._status, self._headers)


class Paused(Counter):
    """Stops before its first answer until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.pause = Pause()

    def __call__(self, request: Request) -> Response:
        """Answer, the first time after a pause."""
        answer = super().__call__(request)
        if answer.body == b"1":
            self.pause.here()
        return answer


class Faltering(Paused):
    """Fails the first time, after a pause.

    Args:
        status: What it answers then; None has it raise.
    """

    def __init__(self, status: int | None = None) -> None:
        super().__init__()
        self._fails_with = status

    def __call__(self, request: Request) -> Response:
        """Fail, or answer."""
        answer = super().__call__(request)
        if answer.body != b"1":
            return answer
        if self._fails_with is None:
            raise ValueError("not today")
        return Response(b"not today", self._fails_with)


class Streamed:
    """Answers with events, and stops after the first of them until it is told to go on."""

    def __init__(self) -> None:
        self.runs = 0
        self.pause = Pause()

    def __call__(self, _request: Request) -> Response:
        """Answer piece by piece."""
        self.runs += 1
        events = self._events(self.runs)
        return Response(events, headers=(("Content-Type", "text/event-stream"),))

    def _events(self, run: int) -> Iterator[bytes]:
        yield b"data: %d.0\n\n" % run
        if run == 1:
            self.pause.here()
        yield b"data: %d.1\n\n" % run
        yield b"data: %d.2\n\n" % run
