"""LiteLLM's global clients, which serve its requests to OpenAI, and to no other provider."""

from collections.abc import AsyncIterator

import litellm
import pytest

from examples.local_llm import MODEL_NAME, LocalLLM
from idemkit import Idempotency
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport
from tests.sdks.packages.litellm import WARNINGS
from tests.sdks.packages.openai import HTTP
from tests.sdks.talks import MESSAGES, MOST

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
