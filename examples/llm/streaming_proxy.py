"""A streaming proxy: a page that is reloaded in the middle of an answer gets all of it, asked once.

Run it from the project's root: `python -m examples.llm.streaming_proxy`. To see it, start
`python -m examples.local_llm --port 8123 --tokens-per-second 2`, and beside it
`python -m uvicorn examples.llm.streaming_proxy:app`; open http://127.0.0.1:8000, ask, and reload.
"""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import islice, takewhile
from pathlib import Path
from threading import Thread
from typing import Annotated
from uuid import uuid4

import httpx2
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import FileResponse, StreamingResponse
from openai import AsyncOpenAI

from idemkit import configure, idempotent, sse

from .provider import MODEL, Provider, check, recipe

PAGE = Path(__file__).with_name("static") / "chat.html"


# The page makes a key for each question; the same key with another question is refused.
@idempotent(key=["chat"], ignore=["client"])
async def answer(
    client: AsyncOpenAI,
    chat: str,  # noqa: ARG001 - which question this is, for the guard
    question: str,
) -> AsyncIterator[str]:
    """Yield what the model says; it goes on while the page is reloaded."""
    done = False
    async with await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": question}], stream=True
    ) as chunks:
        async for chunk in chunks:
            for choice in chunk.choices:
                done = done or choice.finish_reason is not None
                if choice.delta.content:
                    yield choice.delta.content
    if not done:
        raise ConnectionError("the answer was cut off")


async def answers(
    request: Request,
    chat: str,
    question: str,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Send the answer as events, from the beginning or from where the browser lost it."""
    client = request.app.state.client
    try:
        cursor = sse.resume_from(last_event_id)
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
    stream = (
        answer.resume(cursor, client, chat, question) if cursor else answer(client, chat, question)
    )
    frames = sse.events(stream, restart=lambda: answer(client, chat, question))
    return StreamingResponse(frames, media_type=sse.MEDIA_TYPE)


async def page() -> FileResponse:
    """Send the page."""
    return FileResponse(PAGE)


def proxy(provider: Provider) -> FastAPI:
    """Return the application before a provider."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # The store is what $IDEMKIT_STORE says, or this process's memory. Closing waits, for a
        # while, for what the model still says.
        async with provider.async_client() as app.state.client, configure():
            yield

    app = FastAPI(lifespan=lifespan)
    app.get("/")(page)
    app.get("/answers")(answers)
    return app


app = proxy(Provider(os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8123/v1")))


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port, beside the block; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def events(url: str, chat: str, most: int | None = None, cursor: str = "") -> list[str]:
    """Return the events of an answer, or as many of the first as are asked for."""
    asked = {"chat": chat, "question": "What is a lock?"}
    headers = {"Last-Event-ID": cursor} if cursor else {}
    with httpx2.stream("GET", f"{url}/answers", params=asked, headers=headers) as response:
        lines = response.iter_lines()
        return list(islice(iter(lambda: "\n".join(takewhile(bool, lines)), ""), most))


@recipe
def main(provider: Provider) -> None:
    """Prove what is said above."""
    chat = uuid4().hex
    with serving(proxy(provider)) as url, provider.sends("one question, read three times", 1):
        begun, whole = events(url, chat, 1), events(url, chat)
        check("a reload begins again", that=begun == whole[:1])
        check("and has an end", that=whole[-1] == "event: end\ndata:")
        cursor = begun[0].partition("\n")[0].removeprefix("id: ")
        rest = events(url, chat, cursor=cursor)
        check("a lost connection goes on", that=rest == whole[1:])


if __name__ == "__main__":
    sys.exit(main())
