"""The batch over a model, killed, interrupted and run again as a real process."""

import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.local_llm import LocalLLM
from tests.examples.programs import DEADLINE, run, started
from tests.servers import wait_until

pytestmark = pytest.mark.slow

RAG = "batch_rag.py"
DOCUMENTS, CONCURRENCY = 8, 4
SUBJECTS = ("files", "threads", "sockets", "locks", "dates", "paths", "signals", "heaps")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalLLM]:
    """Run one model server for these tests."""
    with LocalLLM() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of documents of a few chunks each."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for subject in SUBJECTS:
        text = "".join(f"Sentence {number} tells of {subject}. " for number in range(40))
        (folder / f"{subject}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def asked(server: LocalLLM) -> "Asked":
    """Return what is asked of the server from now on."""
    return Asked(server)


class Asked:
    """Counts what is asked of a model server."""

    def __init__(self, server: LocalLLM) -> None:
        self.base_url = server.base_url
        self._server = server
        self._before = len(server.requests)

    def __call__(self) -> Counter[bytes]:
        """Return how often each thing was asked."""
        return Counter(request.body for request in self._server.requests[self._before :])


def rag(folder: Path, asked: Asked) -> tuple[int, str, str]:
    """Run it to its end."""
    options = ("--base-url", asked.base_url, "--question", "What tells of sockets?")
    return run(RAG, str(folder), *options, folder=folder.parent)


def stopped(folder: Path, asked: Asked, ending: signal.Signals) -> tuple[int, str]:
    """Stop it when it has asked so often; return its exit code and its last words."""
    options = ("--base-url", asked.base_url, "--question", "What tells of sockets?")
    with started(RAG, str(folder), *options, folder=folder.parent) as process:
        often = random.randrange(3, 40)
        wait_until(lambda: asked().total() >= often)
        process.send_signal(ending)
        _, complaints = process.communicate(timeout=DEADLINE)
    return process.returncode, complaints


def test_question_is_answered(folder: Path, asked: Asked) -> None:
    """The nearest chunk is one of the right document, and each thing was asked once."""
    code, output, _ = rag(folder, asked)
    assert (0, {1}) == (code, set(asked().values()))
    assert "The nearest is in sockets.txt" in output
    assert f"summaries: {DOCUMENTS} executed, 0 replayed, 0 tokens saved" in output


def test_second_run_asks_nothing(folder: Path, asked: Asked) -> None:
    """A second run asks for nothing, says what that saved, and answers the same."""
    _, first, _ = rag(folder, asked)
    before = asked()
    _, second, _ = rag(folder, asked)
    assert before == asked()
    assert f"summaries: 0 executed, {DOCUMENTS} replayed" in second
    assert first.partition("What tells")[2] == second.partition("What tells")[2]


def test_killed_batch_asks_for_the_rest_only(folder: Path, asked: Asked) -> None:
    """After SIGKILL at a random place a rerun asks again for what was in flight, at most."""
    killed, _ = stopped(folder, asked, signal.SIGKILL)
    code, output, _ = rag(folder, asked)
    repeated = [times for times in asked().values() if times > 1]
    assert (-signal.SIGKILL, 0) == (killed, code)
    assert "The nearest is in sockets.txt" in output
    assert (True, True) == (len(repeated) <= CONCURRENCY, max(asked().values()) <= 2)


def test_interrupted_batch_asks_for_nothing_twice(folder: Path, asked: Asked) -> None:
    """Ctrl-C lets what is in flight come to its end, so that a rerun repeats nothing at all."""
    code, complaints = stopped(folder, asked, signal.SIGINT)
    rag(folder, asked)
    assert (130, {1}) == (code, set(asked().values()))
    assert "Stopped. Run it again: what is done stays done." in complaints


def test_makes_its_own_documents_and_server(tmp_path: Path) -> None:
    """Without a folder, and without a server, it has both all the same."""
    code, output, _ = run(RAG, folder=tmp_path, TMPDIR=str(tmp_path))
    assert (0, True) == (code, "The nearest is in assert.txt" in output)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nowhere"], "there is no folder 'nowhere' with text in *.txt files"),
        (["blank"], "there is no folder 'blank' with text in *.txt files"),
        (["documents", "--store", "sqlite://records.db"], "three slashes"),
        (["documents", "--concurrency", "0"], "concurrency must be a positive whole number"),
        (["documents", "--base-url", "http://127.0.0.1:1/v1"], "Connection error"),
    ],
)
def test_says_why_it_cannot_go_on(folder: Path, options: list[str], said: str) -> None:
    """One line says what is wrong."""
    (folder.parent / "blank").mkdir()
    (folder.parent / "blank" / "blank.txt").write_text(" \n", "utf-8")
    code, _, complaints = run(RAG, *options, folder=folder.parent)
    assert (2, True) == (code, said in complaints)
