"""Every client inside a guarded call: as many answers as were asked for, in every attempt."""

import pytest

from examples.local_llm import LocalLLM, Refuse
from idemkit import Idempotency
from tests.sdks.conftest import Open
from tests.sdks.talks import Ask, Colour


@pytest.mark.parametrize("faults", [0, 1], ids=["best-of-three", "one-retried"])
async def test_best_of_three(
    ask: Ask, colour: Colour, faults: int, llm: LocalLLM, idem: Idempotency, open_talk: Open
) -> None:
    """Three identical requests stay three when the call is run again, also if one was retried."""
    llm.script(*[Refuse(status=500, headers={"retry-after-ms": "1"})] * faults)
    talk = open_talk(ask, colour, derive=None, retries=faults)
    heard: list[object] = []

    @idem.idempotent
    async def best_of(count: int) -> int:
        heard.append([await talk.whole() for _ in range(count)])
        if len(heard) == 1:
            raise RuntimeError("after all were paid for")
        return count

    with pytest.raises(RuntimeError):
        await best_of(3)
    await best_of(3)
    assert (3 + faults, heard[0]) == (len(llm.requests), heard[1])
