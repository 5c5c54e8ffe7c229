"""Every reader gets every chunk once and in order, or an error, in whatever order things happen."""

from pathlib import Path

import pytest

from idemkit.core.colour import drive
from idemkit.stores.sqlite import SQLiteStore
from idemkit.testing import FakeClock
from tests.interleavings.scenes import CALM, DEADLY, DEAF, SILENT, STORMY, Parts, Scene, Weather

SCENES = 2_500
SCENES_IN_A_FILE = 200
LATER = 100_000.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "weather", [CALM, DEAF, DEADLY, STORMY], ids=["calm", "deaf", "deadly", "stormy"]
)
def test_sequences_survive(weather: Weather) -> None:
    """Nothing is lost, repeated or spliced, nobody waits for ever, and an end is the end."""
    for seed in range(SCENES):
        Scene(seed, weather, Parts()).run()


@pytest.mark.slow
def test_sequences_survive_in_a_file(tmp_path: Path) -> None:
    """The same over SQLite, whose rings come from a thread, and so never here."""
    clock = FakeClock()
    store = SQLiteStore(tmp_path / "records.db", clock=clock.milliseconds)
    for seed in range(SCENES_IN_A_FILE):
        clock.advance(LATER)  # by then nothing is left of the scene before
        Scene(seed, SILENT, Parts(), clock, store).run()
    drive(store.close())
