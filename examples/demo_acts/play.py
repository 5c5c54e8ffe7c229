"""The play from curtain to curtain: builds the stage, runs the acts, shows the bill."""

import os
import secrets
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from local_llm import LocalLLM
from rich.console import Console

from idemkit import Idempotency

from . import acts, app, screen
from .guard import guard
from .stage import Scene, Stage

__all__ = ["play"]

ACTS = (
    acts.three_tries,
    acts.double_click,
    acts.crash_and_rerun,
    acts.redelivery,
    acts.charge_and_die,
    acts.click_route,
    acts.drop_phone,
)


def play(store: str) -> list[str]:
    """Play all acts and return the promises that did not hold.

    Args:
        store: URL of the store.

    Raises:
        ValueError: There is no such store.
        ModuleNotFoundError: Its client library is not installed.
        StoreError: It does not answer.
    """
    began = time.monotonic()
    console = screen.console()
    with guard(store, namespace=f"demo-{secrets.token_hex(4)}") as idem:
        idem.idempotent(app.answer).peek("Is anybody there?")
        scenes = _perform(console, idem, store)
    broken = [promise for scene in scenes for promise in scene.broken()]
    screen.show_table(console, scenes)
    screen.show_broken(console, broken, seconds=time.monotonic() - began)
    screen.next_steps(console, redis=not store.startswith("memory:"))
    return broken


def _perform(console: Console, idem: Idempotency, store: str) -> list[Scene]:
    with LocalLLM() as llm, tempfile.TemporaryDirectory(prefix="idemkit-demo-") as folder:
        os.environ["OPENAI_BASE_URL"] = llm.base_url
        screen.open_curtain(console, url=llm.base_url, store=_without_password(store))
        stage = Stage(console=console, llm=llm, idem=idem, store=store, folder=Path(folder))
        return [act(stage) for act in ACTS]


def _without_password(url: str) -> str:
    netloc = urlsplit(url).netloc
    return url.replace(netloc, netloc.rpartition("@")[2], 1)
