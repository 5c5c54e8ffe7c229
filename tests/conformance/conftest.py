"""Every server with its app, started once for all tests."""

from collections.abc import Iterator

import pytest

from tests.conformance.servers import PAIRS, Pair, Site, running


@pytest.fixture(scope="session", params=PAIRS, ids=str)
def pair(request: pytest.FixtureRequest) -> Pair:
    """Return a framework and a server."""
    pair: Pair = request.param
    return pair


@pytest.fixture(scope="session")
def site(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a server on a store in its memory."""
    with running(pair, tmp_path_factory.mktemp(str(pair)), store="memory://") as site:
        yield site
