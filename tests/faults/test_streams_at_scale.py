"""Streams of a hundred megabytes, and streams with two hundred readers: what they cost."""

from collections.abc import Callable
from contextlib import ExitStack, closing

import pytest

from tests.faults.children import child
from tests.faults.scene import Far, Served
from tests.faults.stream_child import BLOCKS, LONG

PROGRAM = "tests.faults.stream_child"
CROWD = 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "valkey"])
def test_59_hundred_megabytes_fit_into_little_memory(
    far_on: Callable[[str, None], Far], kind: str
) -> None:
    """Neither who produces them nor who replays them has more than a little of them at a time."""
    with closing(far_on(kind, None)) as live:
        for expected in ("executed", "replayed"):
            with child("read_blocks", program=PROGRAM, **live.stage()) as process:
                told = process.hear()
                assert 0 == process.ended()
            assert (expected, BLOCKS) == (told["kind"], told["right"])
            assert told["grown"] < 64 * 1024 * 1024


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 4])
def test_two_hundred_readers_cost_few_commands(
    far_on: Callable[[str, None], Served], processes: int
) -> None:
    """Readers of one process share what one of them fetches, so a crowd costs hardly anything."""
    with closing(far_on("valkey", None)) as live, ExitStack() as stack:
        stage = live.stage()
        owner = stack.enter_context(child("produce_long", program=PROGRAM, **stage))
        owner.hear()
        live.server.do("CONFIG", "RESETSTAT")
        crowd = [
            stack.enter_context(child(f"listen_{CROWD // processes}", program=PROGRAM, **stage))
            for _ in range(processes)
        ]
        assert [{"joined": True}] * processes == [process.hear() for process in crowd]
        owner.go_on()
        counts = [count for process in crowd for count in process.hear()["counts"]]
        commands = live.server.commands_sent()
        assert [0] * (processes + 1) == [process.ended() for process in (owner, *crowd)]
        assert ([LONG] * CROWD, True) == (counts, commands <= 1000)
