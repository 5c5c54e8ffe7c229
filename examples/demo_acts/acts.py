"""The seven acts: each makes the same calls twice, without idemkit and with it."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from functools import partial

from idemkit.http.wsgi import IdempotencyMiddleware

from . import app, partners, route, screen, shop
from .batch import Batch
from .checkout import DEATHS, Checkout, promises
from .stage import Bill, Scene, Stage

__all__ = [
    "charge_and_die",
    "click_route",
    "crash_and_rerun",
    "double_click",
    "drop_phone",
    "redelivery",
    "three_tries",
]

TRIES, CLICKS, DELIVERIES = 3, 5, 4


def three_tries(stage: Stage) -> Scene:
    """Act 1: a client that asks again."""
    screen.announce(
        stage.console,
        "1. Three tries",
        "Two replies get lost on the way, so the client asks again.",
    )

    def client(answer: Callable[[str], str]) -> list[str]:
        return [answer("Complete this sentence: If the file is") for _ in range(TRIES)]

    plain = stage.bill(lambda: client(app.answer))
    guarded = stage.bill(lambda: client(stage.idem.idempotent(app.answer)))
    screen.compare_answers(stage.console, "try", plain, guarded)
    return Scene("Three tries", calls=1, lost=0, plain=plain, guarded=guarded)


def double_click(stage: Stage) -> Scene:
    """Act 2: a user who clicks until something happens; this time the function is async."""
    screen.announce(
        stage.console, "2. Double click", "An impatient user sends five requests at the same time."
    )

    async def clicks(answer: Callable[[str], Coroutine[None, None, str]]) -> list[str]:
        question = "Complete this sentence: A thread is"
        return await asyncio.gather(*(answer(question) for _ in range(CLICKS)))

    async def guarded_clicks() -> list[str]:
        # Connections of an event loop end with it.
        async with stage.idem:
            return await clicks(stage.idem.idempotent(app.answer_async))

    plain = stage.bill(lambda: asyncio.run(clicks(app.answer_async)))
    guarded = stage.bill(lambda: asyncio.run(guarded_clicks()))
    screen.compare_answers(stage.console, "click", plain, guarded)
    return Scene("Double click", calls=1, lost=0, plain=plain, guarded=guarded)


def crash_and_rerun(stage: Stage) -> Scene:
    """Act 3: a batch of documents that dies half-way and is started again."""
    batch = Batch(stage)
    screen.announce(stage.console, "3. Crash and rerun", batch.story)
    with screen.progress(stage.console) as progress:
        plain = stage.bill(lambda: batch.crash_and_rerun(progress, guarded=False))
        guarded = stage.bill(lambda: batch.crash_and_rerun(progress, guarded=True))
    screen.compare_bills(stage.console, plain, guarded)
    return Scene("Crash and rerun", calls=batch.size, lost=batch.lost, plain=plain, guarded=guarded)


def redelivery(stage: Stage) -> Scene:
    """Act 4: a queue that delivers at least once, and an audit log that should not show it."""
    screen.announce(
        stage.console,
        "4. Audit lines",
        "A queue delivers one message four times; effects=[audit] runs for the first.",
    )
    message = "Complete this sentence: The server is"

    def handle_plainly() -> str:
        text = app.complete(message)
        app.audit(text)
        return text

    handle = stage.idem.idempotent(effects=[app.audit])(app.complete)
    plain = stage.bill(lambda: [handle_plainly() for _ in range(DELIVERIES)])
    guarded = stage.bill(lambda: [handle(message) for _ in range(DELIVERIES)])
    screen.compare_lines(stage.console, plain, guarded)
    return Scene("Audit lines", calls=1, lost=0, plain=plain, guarded=guarded)


def charge_and_die(stage: Stage) -> Scene:
    """Act 5: two processes that die after they have charged a card, one knowing that, one not."""
    where = "the store" if stage.outlives_processes else "a SQLite file, not in memory"
    screen.announce(
        stage.console,
        "5. Charge and die",
        "A process that has charged a card is killed (SIGKILL) before its next step.\n"
        f"Another one starts over, and finds the journal in {where}.\n",
    )
    screen.show_source(stage.console, shop.charge, shop.place)
    with partners.serving() as (both, url):
        os.environ["PARTNERS_URL"] = url
        bare, safe = (Checkout(stage, both, guarded=guarded) for guarded in (False, True))
        plain, guarded = stage.bill(bare.place_all), stage.bill(safe.place_all)
    for story, *fates in zip(DEATHS.values(), bare.fates, safe.fates, strict=True):
        screen.compare_fates(stage.console, story, *fates)
    further = promises(bare.fates, safe.fates)
    return Scene("Charge and die", len(DEATHS), 0, plain, guarded, further)


def click_route(stage: Stage) -> Scene:
    """Act 6: the impatient user again, this time in front of a route."""
    screen.announce(
        stage.console,
        "6. Double click on a route",
        "The same user over HTTP: five requests at once, with one Idempotency-Key.\n",
    )
    screen.show_source(stage.console, route.chat)
    stage.console.print()
    screen.show_difference(stage.console, "chat = IdempotencyMiddleware(chat, idempotency=idem)")
    plain, guarded, marks = _served(stage, partial(route.clicks, count=CLICKS))
    screen.compare_answers(stage.console, "click", plain, guarded)
    further = {f"{CLICKS - 1} answers marked as replays, not {marks}": marks == [0, CLICKS - 1]}
    return Scene("Clicked route", 1, 0, plain, guarded, further)


def drop_phone(stage: Stage) -> Scene:
    """Act 7: a phone that loses its connection in the middle of an answer, and asks again."""
    screen.announce(
        stage.console,
        "7. The phone drops mid-answer",
        "A tunnel, some ten words into the answer. Behind it the phone asks again.",
    )
    plain, guarded, marks = _served(stage, route.ride)
    whole = " ".join(guarded.answers[-1].split())
    # What the first try has shown, and where the second one is as far: the same answer, or not.
    plain, guarded = plain.cut(), guarded.cut()
    screen.compare_answers(stage.console, "try", plain, guarded)
    further = {
        f"the second try marked as a replay, not {marks}": marks == [0, 1],
        "the whole answer in the end, the one that was paid for": guarded.lines == (whole,),
    }
    return Scene("Lost phone", 1, 0, plain, guarded, further)


def _served(
    stage: Stage, client: Callable[[int], list[route.Reply]]
) -> tuple[Bill, Bill, list[int]]:
    """Serve the chat twice; return both bills, and how many answers were marked as replays."""
    marks: list[int] = []

    def perform(application: route.App) -> list[str]:
        with route.serving(application) as port:
            replies = client(port)
        marks.append(sum(reply.replayed for reply in replies))
        return [reply.text for reply in replies]

    plain = stage.bill(lambda: perform(route.chat))
    safe = IdempotencyMiddleware(route.chat, idempotency=stage.idem)
    return plain, stage.bill(lambda: perform(safe)), marks
