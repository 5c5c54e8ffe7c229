"""An upstream, and callers of every kind."""

from collections.abc import AsyncIterator, Iterator

import pytest

from idemkit import Idempotency
from tests.http.client.callers import ALL, Caller
from tests.http.client.upstream import Upstream, upstream


@pytest.fixture
def model() -> Iterator[Upstream]:
    """Return a server whose answers the test writes."""
    with upstream() as server:
        yield server


@pytest.fixture
async def idem() -> AsyncIterator[Idempotency]:
    """Return where requests are guarded."""
    async with Idempotency("memory://") as idempotency:
        yield idempotency


@pytest.fixture(params=ALL, ids=repr)
def kind(request: pytest.FixtureRequest) -> Caller:
    """Return each kind of client."""
    caller: Caller = request.param
    return caller


@pytest.fixture
async def client(kind: Caller, model: Upstream, idem: Idempotency) -> AsyncIterator[Caller]:
    """Return a client of each kind that makes keys of requests."""
    caller = kind.open(model.url, idem, derive="request")
    yield caller
    await caller.close()
