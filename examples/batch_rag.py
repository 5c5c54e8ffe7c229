"""Documents to chunks, embeddings and summaries, killed wherever you like; then a question.

Run it from the project's root: `python -m examples.batch_rag`. Stop it with Ctrl-C or `kill -9` and
run it again: what the model has answered is in a SQLite file, and is never asked for again.
It exits with 0 when it has answered, with 2 if it cannot begin or go on, and with 130 after Ctrl-C.
"""

import argparse
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from openai import OpenAI, OpenAIError
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from examples.batch_documents import made_folder
from examples.local_llm import MODEL_NAME, LocalLLM
from idemkit import StoreError, configure, idempotent
from idemkit.batch import Progress

DONE, REFUSED, INTERRUPTED = 0, 2, 130
WEEK = 7 * 24 * 3600
CHUNK = 250
"""Characters."""
QUESTION = "Which statements insert debugging assertions into a program?"


@dataclass(frozen=True)
class Model:
    """What is asked of the model; through whom is no part of any key, but which one is."""

    client: OpenAI

    @idempotent(name="rag.embed", version=MODEL_NAME, ignore=["self"], ttl=WEEK)
    def embed(self, chunk: str) -> CreateEmbeddingResponse:
        """Return where a chunk lies among the others."""
        return self.client.embeddings.create(model=MODEL_NAME, input=chunk)

    @idempotent(name="rag.summarize", version=MODEL_NAME, ignore=["self"], ttl=WEEK)
    def summarize(self, document: str) -> ChatCompletion:
        """Return what the model makes of a document."""
        prompt = f"Summarize: {document}"
        return self.client.chat.completions.create(
            model=MODEL_NAME, messages=[{"role": "user", "content": prompt}], max_tokens=32
        )


@dataclass(frozen=True)
class Chunk:
    """A part of a document, and where it lies.

    Args:
        document: The document's name.
        text: The part.
        vector: Where it lies; of length 1.
    """

    document: str
    text: str
    vector: Sequence[float]

    def likeness(self, vector: Sequence[float]) -> float:
        """Return how near it lies to something else."""
        return sum(one * other for one, other in zip(self.vector, vector, strict=True))


class Stage:
    """Says how far a stage has come, and at its end what it cost and what it did not."""

    def __init__(self, name: str) -> None:
        """Begin with nothing."""
        self._name = name
        self._progress = Progress()

    def __call__(self, progress: Progress) -> None:
        """Take note of how far it has come."""
        self._progress = progress
        executed, replayed, failed, _, total = progress
        done = executed + replayed + failed
        if sys.stderr.isatty():  # in a file each of them would be one more piece of a long line
            print(f"\r{self._name}: {done}/{total}", end="", file=sys.stderr, flush=True)

    def report(self) -> None:
        """Say how it went."""
        executed, replayed, _, saved, _ = self._progress
        if sys.stderr.isatty():
            print("\r", end="", file=sys.stderr, flush=True)
        print(f"{self._name}: {executed} executed, {replayed} replayed, {saved} tokens saved")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the documents of a folder, answer the question, and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        folder = options.folder or made_folder()
        texts = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))}
        documents = {name: text for name, text in texts.items() if text.strip()}
        if not documents:
            return refuse(f"there is no folder {str(folder)!r} with text in *.txt files")
        store = options.store or f"sqlite:///{quote(str(folder.absolute() / 'rag.db'))}"
        # The lease is how long a killed process keeps its chunks from the next one.
        with configure(store, lease=2), client_of(options.base_url) as client:
            print(f"{len(documents)} documents in {folder}\nrecords in {store}\n", flush=True)
            answer(Model(client), documents, options.question, options.concurrency)
    except KeyboardInterrupt:
        print("\nStopped. Run it again: what is done stays done.", file=sys.stderr)
        return INTERRUPTED
    except OpenAIError as error:
        return refuse(f"the model at {options.base_url or 'this machine'}: {error}")
    except (OSError, StoreError, ValueError) as error:
        return refuse(str(error))
    return DONE


@contextmanager
def client_of(base_url: str | None) -> Iterator[OpenAI]:
    """Return a client of a model server: the one named, or one of our own."""
    if base_url is not None:
        with OpenAI(base_url=base_url, api_key="none is needed here") as client:
            yield client
        return
    with LocalLLM() as server, client_of(server.base_url) as client:
        yield client


def answer(model: Model, documents: dict[str, str], question: str, concurrency: int) -> None:
    """Embed what there is, summarize it, and tell which part comes nearest to a question."""
    chunks = embedded(model, documents, concurrency)
    summaries = summarized(model, documents, concurrency)
    vector = model.embed(question).data[0].embedding
    nearest = max(chunks, key=lambda chunk: chunk.likeness(vector))
    print(f"\n{question}\nThe nearest is in {nearest.document}:\n")
    print(textwrap.indent(textwrap.fill(nearest.text), "    "))
    print(f"\nof which the model says: {summaries[nearest.document]}")


def embedded(model: Model, documents: dict[str, str], concurrency: int) -> list[Chunk]:
    """Return the parts of all documents; such as are the same in two are embedded once."""
    stage = Stage("embeddings")
    parts = [(name, part) for name, text in documents.items() for part in split(text)]
    texts = [part for _, part in parts]
    vectors = [
        response.data[0].embedding
        for response in model.embed.map(texts, concurrency=concurrency, progress=stage)
    ]
    stage.report()
    return [Chunk(name, part, vector) for (name, part), vector in zip(parts, vectors, strict=True)]


def summarized(model: Model, documents: dict[str, str], concurrency: int) -> dict[str, str]:
    """Return each document's summary, by its name."""
    stage = Stage("summaries")
    texts = list(documents.values())
    said = [
        completion.choices[0].message.content or ""
        for completion in model.summarize.map(texts, concurrency=concurrency, progress=stage)
    ]
    stage.report()
    return dict(zip(documents, said, strict=True))


def split(text: str) -> list[str]:
    """Return a text in parts of whole words."""
    return textwrap.wrap(" ".join(text.split()), CHUNK)


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    described = argparse.ArgumentParser(
        prog="batch_rag.py", description="Embed and summarize documents, each part of one once."
    )
    described.add_argument(
        "folder", nargs="?", type=Path, help="with *.txt files; default: one is made"
    )
    described.add_argument("--question", default=QUESTION, help="what to answer in the end")
    described.add_argument(
        "--store", metavar="URL", help="where records are kept; default: a SQLite file in there"
    )
    described.add_argument(
        "--base-url", metavar="URL", help="of a model server; default: one is started"
    )
    described.add_argument("--concurrency", type=int, default=4, metavar="N", help="at once (4)")
    return described


def refuse(message: str) -> int:
    """Say why it cannot begin or go on."""
    print(f"\nbatch_rag.py: {message}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
