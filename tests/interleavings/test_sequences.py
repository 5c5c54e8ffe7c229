"""Every reader gets every chunk once and in order, or an error, in whatever order things happen."""

import pytest

from tests.interleavings.scenes import CALM, DEADLY, DEAF, STORMY, Parts, Scene, Weather

SCENES = 2_500


@pytest.mark.slow
@pytest.mark.parametrize(
    "weather", [CALM, DEAF, DEADLY, STORMY], ids=["calm", "deaf", "deadly", "stormy"]
)
def test_sequences_survive(weather: Weather) -> None:
    """Nothing is lost, repeated or spliced, nobody waits for ever, and an end is the end."""
    for seed in range(SCENES):
        Scene(seed, weather, Parts()).run()
