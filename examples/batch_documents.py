"""A batch that survives anything: kill it half-way, run it again, and it does the rest only.

Run it from the project's root: `python examples/batch_documents.py`. Stop it with Ctrl-C or
`kill -9` and run it again, or run it twice at once: what is done is never paid for again.
It exits with 0 when all is done, with 2 if it cannot begin or go on, and with 130 after Ctrl-C.
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from idemkit import Outcome, StoreError, configure, idempotent

DONE, REFUSED, INTERRUPTED = 0, 2, 130
TOKENS_PER_SECOND = 200
DOCUMENTS, LENGTH = 24, 1000


@dataclass(frozen=True)
class Summary:
    """What the model said, and what it cost."""

    text: str
    tokens: int
    seconds: float


# Of documents that say the same, one is summarized: where a document lies is no part of its key.
@idempotent(name="summarize", ignore=["bill"], ttl=7 * 24 * 3600)
def summarize(document: str, bill: Path) -> Summary:
    """Return the sentence that says most, slowly, and leave a line in the bill."""
    words = re.findall(r"\w+", document.lower())
    with bill.open("a", encoding="utf-8") as lines:
        lines.write(f"{len(words)} tokens: {document[:40]!r}\n")
    seconds = len(words) / TOKENS_PER_SECOND
    time.sleep(seconds)
    weights = Counter(word for word in words if len(word) > 4)  # noqa: PLR2004 - content words
    sentences = re.split(r"\n\n|(?<=[.!?])\s", document)
    best = max(sentences, key=lambda sentence: sum(weights[w] for w in set(sentence.split())))
    return Summary(" ".join(best.split()), len(words), seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Summarize the documents of a folder, and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        folder = options.folder or made_folder()
        documents = sorted(folder.glob("*.txt"))
        if not documents:
            return refuse(f"there is no folder {str(folder)!r} with *.txt files in it")
        output = folder / "summaries"
        output.mkdir(exist_ok=True)
        store = options.store or f"sqlite:///{quote(str(output.absolute() / 'records.db'))}"
        # The lease is how long a killed process keeps its documents from the next one.
        with configure(store, lease=2) as idem:
            idem.open()
            print(f"{len(documents)} documents in {folder}\nrecords in {store}\n", flush=True)
            work_through(documents, output, options.workers)
    except KeyboardInterrupt:
        print("\nStopped. Run it again: what is done stays done.", file=sys.stderr)
        return INTERRUPTED
    except (ModuleNotFoundError, OSError, StoreError, ValueError) as error:
        return refuse(str(error))
    return DONE


def work_through(documents: Sequence[Path], output: Path, workers: int) -> None:
    """Summarize the documents with so many threads, and say how it went."""
    begin, outcomes = time.monotonic(), []
    bill = output / "bill.log"
    for name, outcome in summaries(documents, bill, workers):
        outcomes.append(outcome)
        summary = outcome.value
        (output / name).write_text(f"{summary.text}\n", encoding="utf-8")
        place = f"[{len(outcomes):>{len(str(len(documents)))}}/{len(documents)}]"
        print(f"{place} {outcome.kind:<9} {summary.tokens:>5} tokens  {name}", flush=True)
    report(outcomes, time.monotonic() - begin)
    print(f"The summaries are in {output}; each line of {bill.name} there was paid for.")


def summaries(
    documents: Sequence[Path], bill: Path, workers: int
) -> Iterator[tuple[str, Outcome[Summary]]]:
    """Yield each document's name and summary as they come."""
    with ThreadPoolExecutor(workers) as pool:
        try:
            texts = {path.name: path.read_text("utf-8", errors="replace") for path in documents}
            names = {
                pool.submit(summarize.outcome, text, bill): name for name, text in texts.items()
            }
            for future in as_completed(names):
                yield names[future], future.result()
        finally:
            # After Ctrl-C the summaries under way are finished, and no other begins.
            pool.shutdown(cancel_futures=True)


def report(outcomes: Sequence[Outcome[Summary]], seconds: float) -> None:
    """Say how many were executed, and what the others would have cost."""
    ran = sum(outcome.kind in {"executed", "recovered"} for outcome in outcomes)
    saved = [outcome.value for outcome in outcomes if outcome.kind in {"replayed", "joined"}]
    tokens, model_seconds = sum(s.tokens for s in saved), sum(s.seconds for s in saved)
    print(f"\n{ran} executed, {len(saved)} replayed, in {seconds:.1f} s")
    print(f"Saved: {tokens} tokens, {model_seconds:.1f} s of the model's time.")


def made_folder() -> Path:
    """Return a folder of documents, made on the first run: what `help()` knows of Python."""
    from pydoc_data.topics import topics  # noqa: PLC0415 - large, and not needed with a folder

    folder = Path(tempfile.gettempdir(), "idemkit-documents")
    folder.mkdir(exist_ok=True)
    long = sorted(name for name, text in topics.items() if len(text) > LENGTH)
    for name in long[:DOCUMENTS]:
        (folder / f"{name}.txt").write_text(topics[name][:LENGTH], encoding="utf-8")
    return folder


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    described = argparse.ArgumentParser(
        prog="batch_documents.py", description="Summarize documents, each one once."
    )
    described.add_argument(
        "folder", nargs="?", type=Path, help="with *.txt files; default: one is made"
    )
    described.add_argument(
        "--store",
        metavar="URL",
        help="where records are kept; default: a SQLite file in the folder's summaries/",
    )
    described.add_argument("--workers", type=int, default=4, metavar="N", help="threads (4)")
    return described


def refuse(message: str) -> int:
    """Say why the batch cannot begin or go on."""
    print(f"batch_documents.py: {message}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
