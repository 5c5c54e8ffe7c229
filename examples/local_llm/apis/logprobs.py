"""Log-probabilities, as OpenAI's dialects report them."""

from collections.abc import Iterable

from ..errors import Json
from ..generation import Sampled

__all__ = ["logprob_entries"]


def logprob_entries(tokens: Iterable[Sampled]) -> list[Json]:
    """Return what is reported of each token."""
    return [_logprob_entry(sampled) for sampled in tokens]


def _logprob_entry(sampled: Sampled) -> Json:
    top = [_token_entry(token, logprob) for token, logprob in sampled.alternatives]
    return {**_token_entry(sampled.token, sampled.logprob), "top_logprobs": top}


def _token_entry(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
