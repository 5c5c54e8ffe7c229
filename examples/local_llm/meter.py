"""The meter: how many inferences and tokens were really made, whoever asked for them."""

from dataclasses import dataclass, replace
from threading import Lock

__all__ = ["Meter", "Stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """What a server has computed since it started.

    Args:
        inferences: requests for which sampling began, finished or not.
        prompt_tokens: tokens read.
        completion_tokens: tokens sampled.
    """

    inferences: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Return the tokens read and sampled."""
        return self.prompt_tokens + self.completion_tokens


class Meter:
    """A count that many request threads add to."""

    def __init__(self) -> None:
        """Start at zero."""
        self._lock = Lock()
        self._stats = Stats()

    def add_inference(self, *, prompt_tokens: int) -> None:
        """Count a request whose sampling begins."""
        with self._lock:
            self._stats = replace(
                self._stats,
                inferences=self._stats.inferences + 1,
                prompt_tokens=self._stats.prompt_tokens + prompt_tokens,
            )

    def add_token(self) -> None:
        """Count one sampled token."""
        with self._lock:
            sampled = self._stats.completion_tokens + 1
            self._stats = replace(self._stats, completion_tokens=sampled)

    def stats(self) -> Stats:
        """Return the counts so far."""
        with self._lock:
            return self._stats
