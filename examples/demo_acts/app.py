"""The program that the demo protects: plain functions that ask a model and keep an audit log.

Nothing in here knows idemkit. As in most programs, the environment says where things are:
`$OPENAI_BASE_URL` the server, `$AUDIT_LOG` the file.
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "answer",
    "answer_async",
    "audit",
    "complete",
    "documents",
    "post",
    "spoken",
    "summaries",
    "summarize",
]

# Every answer is equally long, so that bills can be compared by eye.
LENGTH = 40

# Modules whose docstrings are some paragraphs long.
LIBRARY = (
    "argparse",
    "csv",
    "difflib",
    "gettext",
    "heapq",
    "json",
    "optparse",
    "random",
    "sched",
    "statistics",
    "tempfile",
    "uuid",
)


def answer(question: str) -> str:
    """Answer a question, and leave a line in the audit log."""
    text = complete(question)
    audit(text)
    return text


async def answer_async(question: str) -> str:
    """Do what `answer` does, for callers with an event loop."""
    return await asyncio.to_thread(answer, question)


def summarize(title: str, text: str) -> str:
    """Summarize a document, and leave a line in the audit log."""
    summary = complete(f"Summarize this in one sentence.\n\n{title}\n\n{text}")
    audit(f"{title}: {summary}")
    return summary


def summaries(summarize: Callable[[str, str], str]) -> Iterator[str]:
    """Yield the summary of each document, one after the other."""
    for title, text in documents():
        yield summarize(title, text)


def complete(prompt: str) -> str:
    """Return what the model says; it costs tokens, and it is something else every time."""
    reply = post(f"{os.environ['OPENAI_BASE_URL']}/chat/completions", _question(prompt))
    text: str = reply["choices"][0]["message"]["content"]
    return text


def spoken(prompt: str) -> Iterator[str]:
    """Yield what the model says, as it says it."""
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    with _posting(url, _question(prompt) | {"stream": True}) as reply:
        for line in reply:
            if line.startswith(b"data: {"):
                event = json.loads(line.removeprefix(b"data: "))
                yield event["choices"][0]["delta"].get("content") or ""


def post(url: str, body: object) -> Any:
    """Return what a server answers; both sides speak JSON."""
    with _posting(url, body) as reply:
        return json.load(reply)


def audit(text: str) -> None:
    """Append a line to the audit log."""
    with Path(os.environ["AUDIT_LOG"]).open("a", encoding="utf-8") as log:
        log.write(" ".join(text.split()) + "\n")


def documents() -> list[tuple[str, str]]:
    """Return a title and a text each: docstrings of the standard library."""
    return [(name, (import_module(name).__doc__ or name)[:400]) for name in LIBRARY]


def _question(prompt: str) -> dict[str, object]:
    return {
        "model": "stdlib-ngram",
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 1.0,
        "min_tokens": LENGTH,
        "max_tokens": LENGTH,
    }


@contextmanager
def _posting(url: str, body: object) -> Iterator[HTTPResponse]:
    server = urlsplit(url)
    headers = {"Content-Type": "application/json"}
    with closing(HTTPConnection(server.netloc, timeout=60)) as connection:
        connection.request("POST", server.path, json.dumps(body), headers)
        yield connection.getresponse()
