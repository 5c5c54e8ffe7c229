"""How far a `.map` has come is shown as a bar, or told to whoever wants to know."""

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from idemkit import Idempotency
from idemkit.batch import Progress
from tests.batches import Runs


@pytest.fixture
def idem() -> Idempotency:
    """Return an `Idempotency` on fresh memory."""
    return Idempotency("memory://")


def completion(prompt: str) -> dict[str, Any]:
    """Answer as a model does, for ten tokens and one for each letter."""
    usage = {"prompt_tokens": len(prompt), "completion_tokens": 10}
    return {"model": "small", "choices": [], "usage": usage}


def test_each_item_is_told_of(idem: Idempotency) -> None:
    """A callable gets the counts after each item."""
    told: list[Progress] = []
    double = idem.idempotent(name="shop.double")(Runs(2).double)
    double(0)
    list(double.map(range(4), progress=told.append, on_error="collect"))
    assert [
        Progress(replayed=1, total=4),
        Progress(executed=1, replayed=1, total=4),
        Progress(executed=1, replayed=1, failed=1, total=4),
        Progress(executed=2, replayed=1, failed=1, total=4),
    ] == told


def test_failure_that_is_raised_is_told_of(idem: Idempotency) -> None:
    """The last item told of is the one that failed."""
    told: list[Progress] = []
    double = idem.idempotent(name="shop.double")(Runs(1).double)
    with pytest.raises(ValueError, match="1"):
        list(double.map(iter(range(3)), progress=told.append))
    assert [Progress(executed=1), Progress(executed=1, failed=1)] == told


def test_tokens_that_were_saved_are_counted(idem: Idempotency) -> None:
    """What replayed answers of a model took when they ran is saved; what runs is not."""
    told: list[Progress] = []
    ask = idem.idempotent(name="shop.ask")(completion)
    ask("one")
    list(ask.map(["one", "three"], progress=told.append))
    assert [13, 13] == [progress.tokens_saved for progress in told]


@dataclass(frozen=True)
class Draft:
    """A result whose usage cannot be told."""

    text: str

    @property
    def usage(self) -> int:
        """Fail."""
        raise RuntimeError(self.text)


def draft(text: str) -> Draft:
    """Return a draft."""
    return Draft(text)


def test_result_that_tells_no_tokens_is_counted(idem: Idempotency) -> None:
    """A result that fails where a model's answer tells what it took has saved none."""
    told: list[Progress] = []
    write = idem.idempotent(name="shop.write")(draft)
    write("one")
    assert [Draft("one")] == list(write.map(["one"], progress=told.append))
    assert [Progress(replayed=1, total=1)] == told


def test_teller_that_fails_ends_it(idem: Idempotency) -> None:
    """An error of the callable's own is the caller's to see, and nothing is left behind."""
    double = idem.idempotent(name="shop.double")(Runs().double)

    def fail(progress: Progress) -> None:
        raise LookupError(progress.executed)

    with pytest.raises(LookupError, match="1"):
        list(double.map(range(3), progress=fail))


def test_bar_shows_the_counts(idem: Idempotency, capsys: pytest.CaptureFixture[str]) -> None:
    """The bar stands on the standard error output, and its last line says it all."""
    double = idem.idempotent(name="shop.double")(Runs(2).double)
    double(0)
    list(double.map(range(4), progress=True, on_error="collect"))
    output, shown = capsys.readouterr()
    last = shown.rpartition("\r")[2]
    assert ("", True) == (output, "4/4" in last)
    assert "2 executed, 1 replayed, 1 failed [" in last


def test_bar_shows_tokens_if_there_are_any(
    idem: Idempotency, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was saved is shown where there was something to save."""
    ask = idem.idempotent(name="shop.ask")(completion)
    ask("one")
    list(ask.map(["one"], progress=True))
    assert "0 executed, 1 replayed, 0 failed, 13 tokens saved [" in capsys.readouterr().err


def test_bar_of_a_batch_that_is_left_stands(
    idem: Idempotency, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever leaves early finds the bar as it was, on a line of its own."""
    mapping = idem.idempotent(name="shop.double")(Runs().double).map(range(4), progress=True)
    next(mapping)
    mapping.close()
    shown = capsys.readouterr().err
    assert ("1/4" in shown, "\n") == (True, shown[-1])


def test_bar_needs_an_extra(idem: Idempotency, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library that draws it is missing, the call says what to install."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.delitem(sys.modules, "idemkit.batch.bar", raising=False)
    double = idem.idempotent(name="shop.double")(Runs().double)
    with pytest.raises(ModuleNotFoundError, match=r"idemkit-toolkit\[progress\]"):
        double.map([], progress=True)
