"""The evening of three readers: one inference, one answer, and nothing missed."""

import re
from pathlib import Path

import pytest

from tests.examples.programs import run

LINE = re.compile(r" *[\d.]+ s +(\w+) +(.*)")
ENDING = re.compile(r"has all: (\d+) at once, (\d+) live \.\.\. (.*)")


@pytest.mark.slow
def test_three_readers_share_one_inference(tmp_path: Path) -> None:
    """All have the same answer, also who was killed, and the model was asked once."""
    code, output, complaints = run("token_stream.py", folder=tmp_path)
    *evening, bill = output.splitlines()
    told = [found.groups() for found in map(LINE.fullmatch, evening) if found]
    assert (0, "", "the model was asked 1x, for 80 tokens") == (code, complaints, bill)
    carl = [what for who, what in told if who == "Carl"]
    assert ["sees the first token", "is killed", "sees the first token"] == [
        what.partition(" (")[0] for what in carl[:3]
    ]
    endings = [found.groups() for _, what in told if (found := ENDING.fullmatch(what))]
    assert (3, 1) == (len(endings), len({ending for *_, ending in endings}))
    assert 1 == len({int(early) + int(live) for early, live, _ in endings})
    missed = ENDING.fullmatch(carl[3])
    assert missed is not None
    assert int(missed[1]) >= 20  # of the forty or more that came before he was back
