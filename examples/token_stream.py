"""Three readers of one answer, in two processes; one is killed half-way and comes back.

Anna asks a model. Ben, and Carl in a process of his own, ask the same while she is being answered:
they join her stream, so the model is asked once, and everybody sees the tokens as they come. Then
Carl's process is killed; the next one sees at once what he had missed, and goes on live.

Run it from the project's root: `python examples/token_stream.py`. Records are in a SQLite file of
its own, unless `--store` names another store.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from local_llm import LocalLLM

from idemkit import Idempotency

PROMPT = "What does a context manager do?"
TOKENS, TOKENS_PER_SECOND = 80, 40.0
HALF = TOKENS // 2
AT_ONCE = 0.5 / TOKENS_PER_SECOND
"""Seconds after a reader's first token in which hardly another is sampled."""


def answer(model: str, prompt: str) -> Iterator[str]:
    """Ask a model, and yield its answer token by token; it is another one every time."""
    server = urlsplit(model)
    body = {
        "model": "stdlib-ngram",
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "min_tokens": TOKENS,
        "max_tokens": TOKENS,
    }
    headers = {"Content-Type": "application/json"}
    with closing(HTTPConnection(server.netloc, timeout=60)) as connection:
        connection.request("POST", f"{server.path}/chat/completions", json.dumps(body), headers)
        for line in connection.getresponse():
            if line.startswith(b"data: {"):
                yield content(json.loads(line.removeprefix(b"data: ")))


def content(event: Any) -> str:
    """Return what an event adds to the answer."""
    text: str = event["choices"][0]["delta"].get("content", "")
    return text


@dataclass(frozen=True)
class Evening:
    """What all readers know.

    Args:
        store: URL of the store.
        model: URL of the model.
        began: When it began, in seconds of the wall clock.
    """

    store: str
    model: str
    began: float

    def read(self, name: str, each: Callable[[int], object] = id) -> str:
        """Read the answer to its end, tell when something happened, and return it.

        Args:
            name: Whose reading it is.
            each: Called with the number of items so far.
        """
        text, early, first = "", 0, 0.0
        with self._idempotency() as idem:
            # The same question is the same call, whichever model server is asked.
            ask = idem.idempotent(name="answer", ignore=["model"])(answer)
            stream = ask(self.model, PROMPT)
            for number, token in enumerate(stream, start=1):
                text += token
                first = first or time.time()
                early += time.time() < first + AT_ONCE
                if number == 1:
                    self.tell(name, f"sees the first token ({stream.kind})")
                each(number)
        self.tell(name, f"has all: {early} at once, {number - early} live ... {text[-24:]!r}")
        return text

    def tell(self, name: str, what: str) -> None:
        """Say what happened to whom, and when."""
        # In one piece with its end, for the readers of a process speak at once.
        print(f"{time.time() - self.began:5.2f} s  {name:5} {what}\n", end="", flush=True)

    def _idempotency(self) -> Idempotency:
        # The lease is short, because somebody is watching: it is how long readers would wait for
        # news if Anna's process were killed.
        return Idempotency(self.store, namespace=f"evening-{self.began}", ttl=60, lease=2)


@contextmanager
def carl(evening: Evening) -> Iterator["subprocess.Popen[str]"]:
    """Let Carl read in a process of his own, and pass on the first thing that he says."""
    command = [sys.executable, __file__, "--carl", json.dumps(asdict(evening))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ourselves
        try:
            pass_on(process)
            yield process
        finally:
            process.kill()


def pass_on(process: "subprocess.Popen[str]") -> None:
    """Print the next line of a process."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    print(process.stdout.readline(), end="", flush=True)


def perform(evening: Evening) -> list[str]:
    """Let the three of them read, and return what Anna and Ben have."""
    begun, half = Event(), Event()

    def each(number: int) -> None:
        begun.set()
        if number == HALF:
            half.set()

    with ThreadPoolExecutor() as threads:
        anna = threads.submit(evening.read, "Anna", each)
        anna.add_done_callback(lambda _: (begun.set(), half.set()))  # she may have failed
        begun.wait()
        ben = threads.submit(evening.read, "Ben")
        with carl(evening):
            half.wait()
        evening.tell("Carl", "is killed")
        with carl(evening) as process:
            pass_on(process)
        return [anna.result(), ben.result()]


def main(store: str | None = None) -> int:
    """Spend an evening, print the bill, and return how often the model was asked."""
    with TemporaryDirectory() as folder, LocalLLM(tokens_per_second=TOKENS_PER_SECOND) as llm:
        store = store or f"sqlite:///{Path(folder, 'records.db')}"
        perform(Evening(store, llm.base_url, time.time()))
        bill = llm.stats()
    print(f"the model was asked {bill.inferences}x, for {bill.completion_tokens} tokens")
    return bill.inferences


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Read one answer in three places.")
    parser.add_argument("--store", metavar="URL", help="a store that processes can share")
    parser.add_argument("--carl", metavar="JSON", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.carl:
        Evening(**json.loads(options.carl)).read("Carl")
    else:
        main(options.store)
