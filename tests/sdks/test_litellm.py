"""LiteLLM's global clients, for OpenAI alone, and its handlers, for all other providers."""

from collections.abc import AsyncIterator

import litellm
import pytest
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler, HTTPHandler

from examples.local_llm import MODEL_NAME, LocalLLM
from idemkit import Idempotency
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport, wrap
from tests.sdks.packages.litellm import WARNINGS
from tests.sdks.packages.openai import HTTP
from tests.sdks.talks import MESSAGES, MOST, plain

pytestmark = [pytest.mark.filterwarnings(warning) for warning in WARNINGS]


@pytest.fixture
async def sessions(idem: Idempotency, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Guard what LiteLLM sends through its global clients."""
    blocking = HTTP.Client(transport=IdempotentTransport(idempotency=idem, derive="request"))
    transport = AsyncIdempotentTransport(idempotency=idem, derive="request")
    awaiting = HTTP.AsyncClient(transport=transport)
    monkeypatch.setattr(litellm, "client_session", blocking)
    monkeypatch.setattr(litellm, "aclient_session", awaiting)
    yield
    blocking.close()
    await awaiting.aclose()


@pytest.mark.usefixtures("sessions")
async def test_global_clients(llm: LocalLLM) -> None:
    """What one colour has recorded is replayed to the other, through the global clients."""
    asked = {
        "model": f"openai/{MODEL_NAME}",
        "messages": MESSAGES,
        "max_tokens": MOST,
        "api_base": llm.base_url,
        "api_key": "key",
    }
    first, second = litellm.completion(**asked), await litellm.acompletion(**asked)
    assert (1, first.model_dump()) == (len(llm.requests), second.model_dump())


async def test_handlers(llm: LocalLLM, idem: Idempotency) -> None:
    """What goes to another provider than OpenAI is guarded through handlers that are wrapped."""
    blocking = wrap(HTTPHandler(), idempotency=idem, derive="request")
    awaiting = wrap(AsyncHTTPHandler(), idempotency=idem, derive="request")
    asked = {
        "model": f"anthropic/{MODEL_NAME}",
        "messages": MESSAGES,
        "max_tokens": MOST,
        "api_base": llm.url,
        "api_key": "key",
    }
    first = litellm.completion(**asked, client=blocking)
    second = await litellm.acompletion(**asked, client=awaiting)
    blocking.close()
    await awaiting.close()
    assert (1, plain(first.choices)) == (len(llm.requests), plain(second.choices))
