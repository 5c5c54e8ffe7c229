"""The batch over documents, killed, interrupted and run again as a real process."""

import re
import signal
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from tests.examples.programs import DEADLINE, run, started

pytestmark = pytest.mark.slow

BATCH = "batch_documents.py"
DOCUMENTS, WORKERS, HALF = 16, 4, 8
ONCE = Counter(f"{number:02}.txt" for number in range(DOCUMENTS))
HEADER = 3
"""Lines before the first document's."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of documents."""
    return write_documents(tmp_path / "documents")


def write_documents(folder: Path) -> Path:
    """Make documents of some fifty words, which take a quarter of a second each."""
    folder.mkdir()
    for number in range(DOCUMENTS):
        text = f"Document {number:02} begins. " + f"Sentences on topic{number} are many. " * 10
        (folder / f"{number:02}.txt").write_text(text, encoding="utf-8")
    return folder


def batch(folder: Path, *options: str) -> tuple[int, str, str]:
    """Run the batch to its end."""
    return run(BATCH, str(folder), *options, folder=folder.parent)


def half_a_batch(folder: Path, ending: signal.Signals) -> tuple[int, set[str], str]:
    """Stop the batch when half of it is done; return its exit code, what is done, complaints."""
    with started(BATCH, str(folder), folder=folder.parent) as process:
        assert process.stdout is not None
        lines = list(islice(process.stdout, HEADER + HALF))
        process.send_signal(ending)
        rest, complaints = process.communicate(timeout=DEADLINE)
    done = {line.split()[-1] for line in [*lines, *rest.splitlines()] if line.startswith("[")}
    return process.returncode, done, complaints


def summaries(folder: Path) -> dict[str, str]:
    """Return what the batch has written, by the document's name."""
    return {path.name: path.read_text("utf-8") for path in (folder / "summaries").glob("*.txt")}


def bill(folder: Path) -> Counter[str]:
    """Return how often the body has begun for each document, by the document's name."""
    begun = (folder / "summaries" / "bill.log").read_text("utf-8")
    return Counter(f"{number}.txt" for number in re.findall(r"Document (\d+)", begun))


def test_batch_summarizes_each_document(folder: Path) -> None:
    """A first run executes all of them, and says so."""
    code, output, complaints = batch(folder)
    assert (0, "", ONCE, set(ONCE)) == (code, complaints, bill(folder), set(summaries(folder)))
    assert f"{DOCUMENTS} executed, 0 replayed" in output


def test_second_run_pays_nothing(folder: Path) -> None:
    """A second run executes none, writes the same, and says so."""
    batch(folder)
    first = summaries(folder)
    _, output, _ = batch(folder)
    assert (ONCE, first) == (bill(folder), summaries(folder))
    assert f"0 executed, {DOCUMENTS} replayed" in output


def test_killed_batch_does_the_rest_only(folder: Path) -> None:
    """After SIGKILL half-way a rerun repeats what was in flight, at most."""
    killed, done, _ = half_a_batch(folder, signal.SIGKILL)
    code, _, complaints = batch(folder)
    repeated = bill(folder) - ONCE
    assert (-signal.SIGKILL, 0, "", set(ONCE)) == (killed, code, complaints, set(bill(folder)))
    assert HALF <= len(done) < DOCUMENTS
    assert set() == set(repeated) & done
    assert repeated.total() <= WORKERS


def test_killed_batch_comes_to_the_same_end(folder: Path, tmp_path: Path) -> None:
    """Killed and run again, a batch writes what one writes that was left in peace."""
    half_a_batch(folder, signal.SIGKILL)
    batch(folder)
    peaceful = write_documents(tmp_path / "peaceful")
    batch(peaceful, "--workers", str(DOCUMENTS))
    assert summaries(peaceful) == summaries(folder)


def test_interrupted_batch_repeats_nothing(folder: Path) -> None:
    """Ctrl-C lets what is in flight come to its end, so that a rerun repeats nothing at all."""
    code, _, complaints = half_a_batch(folder, signal.SIGINT)
    before = bill(folder)
    batch(folder)
    assert (130, "\nStopped. Run it again: what is done stays done.\n") == (code, complaints)
    assert (True, ONCE) == (before.total() < DOCUMENTS, bill(folder))


def test_two_batches_at_once_pay_once(folder: Path) -> None:
    """Two processes over one folder, at the same time, execute each document once."""
    with (
        started(BATCH, str(folder), folder=folder.parent) as one,
        started(BATCH, str(folder), folder=folder.parent) as other,
    ):
        for process in (one, other):
            process.communicate(timeout=DEADLINE)
    assert ([0, 0], ONCE) == ([one.returncode, other.returncode], bill(folder))


def test_batch_makes_its_own_documents(tmp_path: Path) -> None:
    """Without a folder the batch has something to summarize all the same."""
    code, _, complaints = run(BATCH, "--workers", "24", folder=tmp_path, TMPDIR=str(tmp_path))
    assert (0, "", 24) == (code, complaints, len(summaries(tmp_path / "idemkit-documents")))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nowhere"], "there is no folder 'nowhere' with *.txt files in it"),
        (["documents", "--store", "sqlite:///nowhere/records.db"], "its folder must exist"),
        (["documents", "--store", "sqlite://records.db"], "three slashes"),
        (["documents", "--workers", "0"], "max_workers must be greater than 0"),
    ],
)
def test_batch_says_why_it_cannot_begin(folder: Path, options: list[str], said: str) -> None:
    """One line says what is wrong, and nothing is summarized."""
    code, _, complaints = run(BATCH, *options, folder=folder.parent)
    assert (2, 1, {}) == (code, complaints.count("\n"), summaries(folder))
    assert said in complaints
