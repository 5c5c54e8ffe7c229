"""The meter: how many inferences and tokens were really made, whoever asked for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

__all__ = ["Meter", "Stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """What a server has computed since it started.

    Args:
        inferences: requests for which sampling began, finished or not, and embeddings.
        prompt_tokens: tokens read.
        completion_tokens: tokens sampled.
        cached_tokens: those of the prompts that were in the prompt cache.
        requests: how many requests each endpoint got, refused or not, by method and path.
    """

    inferences: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    requests: Mapping[str, int] = field(default_factory=dict)

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

    def add_request(self, endpoint: str) -> None:
        """Count a request to an endpoint."""
        with self._lock:
            requests = self._stats.requests
            counted = {**requests, endpoint: requests.get(endpoint, 0) + 1}
            self._stats = replace(self._stats, requests=counted)

    def add_inference(self, *, prompt_tokens: int, cached_tokens: int = 0) -> None:
        """Count a request whose sampling begins."""
        with self._lock:
            self._stats = replace(
                self._stats,
                inferences=self._stats.inferences + 1,
                prompt_tokens=self._stats.prompt_tokens + prompt_tokens,
                cached_tokens=self._stats.cached_tokens + cached_tokens,
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
