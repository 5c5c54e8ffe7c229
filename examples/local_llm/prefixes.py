"""The prompt cache: which beginnings of prompts were read before."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2s
from threading import Lock

__all__ = ["PrefixCache", "block_digests", "block_tokens", "digests"]

# Tokens of a block: the grain in which servers of open models share their key-value cache.
_BLOCK = 16
_KEPT = 100_000


class PrefixCache:
    """The beginnings read last, which many request threads ask for."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = Lock()
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def read(self, prefixes: Sequence[bytes]) -> int:
        """Return how many of ever longer prefixes the longest known one covers."""
        with self._lock:
            known = [at for at, prefix in enumerate(prefixes, 1) if prefix in self._known]
            return max(known, default=0)

    def keep(self, prefixes: Iterable[bytes]) -> None:
        """Know these from now on, and forget those that were not read for longest."""
        with self._lock:
            for prefix in prefixes:
                self._known[prefix] = None
                self._known.move_to_end(prefix)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)


def digests(parts: Iterable[str]) -> list[bytes]:
    """Return a digest of each prefix of a sequence of parts, shortest first."""
    running = blake2s(digest_size=16)
    found: list[bytes] = []
    for part in parts:
        running.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))
        found.append(running.digest())
    return found


def block_digests(tokens: Sequence[int]) -> list[bytes]:
    """Return a digest of each prefix of a prompt that is a number of whole blocks."""
    whole = len(tokens) - len(tokens) % _BLOCK
    return digests(str(tokens[at : at + _BLOCK]) for at in range(0, whole, _BLOCK))


def block_tokens(blocks: int) -> int:
    """Return the number of tokens in so many blocks."""
    return blocks * _BLOCK
