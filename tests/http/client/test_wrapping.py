"""Tests of `idemkit.http.client.wrapping`: clients and SDKs that are there already."""

from collections.abc import AsyncIterator

import anthropic
import httpx2
import openai
import pytest

from idemkit import IdemkitWarning, Idempotency
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport, wrap
from tests.http.client.callers import CHAT, PROMPT, Caller
from tests.http.client.upstream import Upstream, says, upstream


@pytest.fixture
async def own(kind: Caller, model: Upstream) -> AsyncIterator[Caller]:
    """Return a client of each kind that nobody guards."""
    caller = Caller(kind.library, blocking=kind.blocking)
    make = kind.library.Client if kind.blocking else kind.library.AsyncClient
    caller.client = make(base_url=model.url)
    yield caller
    await caller.close()


async def test_client_is_guarded_in_place(own: Caller, model: Upstream, idem: Idempotency) -> None:
    """It is the same client, and the same request goes out once."""
    model.script = lambda exchange: exchange.whole(says(str(exchange.number)))
    assert wrap(own.client, idempotency=idem, derive="request") is own.client
    contents = {(await own.post()).content for _ in range(2)}
    assert {says("1")} == contents


async def test_wrapped_twice_is_wrapped_once(own: Caller, idem: Idempotency) -> None:
    """A client that is guarded stays as it is."""
    wrap(own.client, idempotency=idem)
    transport = own.client._transport
    wrap(own.client, idempotency=idem)
    assert transport is own.client._transport


def test_proxies_of_the_environment(
    model: Upstream, idempotency: Idempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would have gone through a proxy still does, guarded; so does what is excepted."""
    with upstream() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with httpx2.Client() as client:
            wrap(client, idempotency=idempotency, derive="request")
            for _ in range(2):
                client.post("http://provider.example/v1/chat/completions", json=PROMPT)
                client.post(f"{model.url}{CHAT}", json=PROMPT)
        assert (1, 1) == (len(proxy.asked), len(model.asked))
        assert "http://provider.example/v1/chat/completions" == proxy.asked[0].path


@pytest.mark.parametrize(
    ("sdk", "transport"),
    [
        (openai.OpenAI, IdempotentTransport),
        (openai.AsyncOpenAI, AsyncIdempotentTransport),
        (anthropic.Anthropic, IdempotentTransport),
        (anthropic.AsyncAnthropic, AsyncIdempotentTransport),
    ],
)
def test_sdk(sdk: type, transport: type, idempotency: Idempotency) -> None:
    """The client inside an SDK is found."""
    client = wrap(sdk(api_key="k"), idempotency=idempotency)
    assert isinstance(client._client._transport, transport)


@pytest.mark.parametrize("nothing", [object(), None])
def test_nothing_to_wrap(nothing: object, idempotency: Idempotency) -> None:
    """What has no client in it is refused, and nothing is said of clients that it lacks."""
    with pytest.raises(
        TypeError, match=f"no client of httpx2 or httpx in {type(nothing).__name__}"
    ):
        wrap(nothing, idempotency=idempotency)


def test_what_goes_another_way(idempotency: Idempotency) -> None:
    """Whoever wraps a client that does not send everything through it is told."""

    class Options:
        httpx_async_client = None

    class Google:
        """Laid out as google-genai is."""

        def __init__(self) -> None:
            self._http_options = Options()
            self._httpx_client = httpx2.Client()

    google = Google()
    with pytest.warns(IdemkitWarning, match="httpx_async_client=wrap"):
        wrap(google, idempotency=idempotency)
    assert isinstance(google._httpx_client._transport, IdempotentTransport)


def test_clients_to_come(idempotency: Idempotency) -> None:
    """What makes itself a new client when its loop is another makes one that is guarded, once."""

    class Provider:
        """Laid out as one of pydantic-ai is."""

        def __init__(self) -> None:
            self._client = self._http_client_factory()

        def _http_client_factory(self) -> httpx2.AsyncClient:
            return httpx2.AsyncClient()

    provider = wrap(Provider(), idempotency=idempotency)
    make = provider._http_client_factory
    assert make is wrap(provider, idempotency=idempotency)._http_client_factory
    for client in (provider._client, provider._http_client_factory()):
        assert isinstance(client._transport, AsyncIdempotentTransport)


def test_what_leads_back_to_itself(idempotency: Idempotency) -> None:
    """What is built on itself has an end for us."""

    class Circle:
        @property
        def client(self) -> object:
            return self

    with pytest.raises(TypeError, match="no client"):
        wrap(Circle(), idempotency=idempotency)
