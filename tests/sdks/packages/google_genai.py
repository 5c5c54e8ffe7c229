"""Google's client, one for both colours, on httpx2."""

from typing import Any

import httpx2
from google import genai
from google.genai.types import GenerateContentConfig, HttpOptions, HttpRetryOptions

from examples.local_llm import MODEL_NAME
from tests.sdks.talks import MOST, PROMPT, Ask, Package, Site

__all__ = ["ASKS"]

_ASKED: Any = {
    "model": MODEL_NAME,
    "contents": PROMPT,
    "config": GenerateContentConfig(max_output_tokens=MOST),
}


class _Client:
    """The verbs of one colour, and the client."""

    def __init__(self, site: Site) -> None:
        # Left to itself, the client awaits answers of clients that it makes on its way.
        made = httpx2.Client if site.blocking else httpx2.AsyncClient
        http = site.http or made(timeout=site.timeout)
        other = httpx2.AsyncClient() if site.blocking else None
        self.client = genai.Client(
            api_key="key",
            vertexai=False,
            http_options=HttpOptions(
                base_url=site.url,
                timeout=int(site.timeout * 1000),
                retry_options=HttpRetryOptions(
                    attempts=1 + site.retries, initial_delay=0.01, jitter=0.0
                ),
                httpx_client=http if site.blocking else None,
                httpx_async_client=other or http,
            ),
        )
        self._http = http
        self._blocking = site.blocking
        verbs = self.client if site.blocking else self.client.aio
        self.models: Any = verbs.models

    def close(self) -> Any:
        """Close the HTTP client, which it does not own."""
        return self._http.close() if self._blocking else self._http.aclose()


def _plain(answer: Any) -> Any:
    """Return what is parsed, without the header fields, which say that it is a replay."""
    return answer.model_dump(exclude={"sdk_http_response"})


_EMBEDDED: Any = {"model": MODEL_NAME, "contents": PROMPT}
GOOGLE = Package("google.genai", httpx2, _Client)
ASKS = [
    Ask(GOOGLE, "embed", lambda it: it.models.embed_content(**_EMBEDDED), plain=_plain),
    Ask(GOOGLE, "generate", lambda it: it.models.generate_content(**_ASKED), plain=_plain),
    Ask(
        GOOGLE,
        "generate-stream",
        lambda it: it.models.generate_content_stream(**_ASKED),
        streams=True,
        plain=_plain,
    ),
]
