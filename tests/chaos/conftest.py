"""A folder of logs, and somebody who writes what is done to others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.events import Scribe


@pytest.fixture
def attacker(tmp_path: Path) -> Iterator[Scribe]:
    """Return the scribe of the attacker."""
    scribe = Scribe(tmp_path, "attacker")
    yield scribe
    scribe.close()
