"""What the tests of the recipes share: a provider that keeps books."""

from collections.abc import Iterator

import pytest

from examples.local_llm import LocalLLM
from idemkit import operation
from tests.examples.llm.browser import installed

# The page needs a browser, which no package index has.
collect_ignore = [] if installed() else ["test_streaming_proxy.py"]


@pytest.fixture
def llm() -> Iterator[LocalLLM]:
    """Return a local model that answers at full speed."""
    with LocalLLM(tokens_per_second=0, batch_polls=2) as server:
        yield server


@pytest.fixture(autouse=True)
def forgotten_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every program configure what nobody uses after it."""
    monkeypatch.setattr(operation, "_default", None)
