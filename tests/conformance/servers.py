"""Real web servers, each as a process of its own on a free port of this machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.calls import Call
from tests.conformance.notebook import EVERY_CASE, Notebook
from tests.conformance.wire import Reply
from tests.servers import free_port, wait_until

__all__ = ["COMMANDS", "DEADLINE", "PAIRS", "Pair", "Site", "running", "serving"]

ROOT = Path(__file__).parents[2]
DEADLINE = 30.0
THREADS = 40
"""Of a WSGI server, where everybody who waits holds one."""

COMMANDS = {
    "uvicorn": "uvicorn --port {port} --workers {workers} {app}",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} --workers {workers} {app}",
    "granian": "granian --interface asgi --port {port} --workers {workers} {app}",
    "granian-wsgi": "granian --interface wsgi --port {port} --blocking-threads {threads} {app}",
    "gunicorn": (
        "gunicorn --worker-class gthread --threads {threads} --workers {workers}"
        " --bind 127.0.0.1:{port} --no-control-socket {app}"
    ),
    "waitress": "waitress --listen 127.0.0.1:{port} --threads {threads} {app}",
}
APPS = {
    "starlette": "with_starlette:app",
    "fastapi": "with_fastapi:app",
    "litestar": "with_litestar:app",
    "quart": "with_quart:app",
    "django-asgi": "with_django:asgi",
    "django-wsgi": "with_django:wsgi",
    "flask": "with_flask:app",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A framework's app on a server."""

    framework: str
    server: str

    def __str__(self) -> str:
        return f"{self.framework}-{self.server}"

    def command(self, port: int, workers: int) -> str:
        """Return what starts it."""
        app = f"tests.conformance.apps.{APPS[self.framework]}"
        return COMMANDS[self.server].format(port=port, workers=workers, threads=THREADS, app=app)


ASGI = [
    Pair("starlette", "uvicorn"),
    Pair("starlette", "hypercorn"),
    Pair("starlette", "granian"),
    Pair("fastapi", "uvicorn"),
    Pair("litestar", "uvicorn"),
    Pair("litestar", "granian"),
    Pair("quart", "uvicorn"),
    Pair("quart", "hypercorn"),
    Pair("django-asgi", "uvicorn"),
]
WSGI = [
    Pair("flask", "gunicorn"),
    Pair("flask", "waitress"),
    Pair("flask", "granian-wsgi"),
    Pair("django-wsgi", "gunicorn"),
]
PAIRS = ASGI + WSGI


class Site:
    """A server that runs, and what its app notes down.

    Args:
        process: The server, or the supervisor of its workers.
        port: Where it listens.
        folder: Where its notes and its log are.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self.notebook = Notebook(folder)
        self.port = port

    def call(self, work: str) -> Call:
        """Return calls of a handler that nobody else makes."""
        return Call(self.port, self.notebook, work)

    def look(self) -> Reply:
        """Ask for what nobody guards."""
        with self.call("plain").begin(b"", method="GET") as exchange:
            return exchange.rest()


@contextmanager
def serving(
    command: str, folder: Path, port: int, variables: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a web server until the block ends, from when it listens.

    Args:
        command: A module and its arguments.
        folder: Where it is started, and where its log goes.
        port: Where it listens.
        variables: Of its environment.
    """
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", *command.split()],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            wait_until(lambda: listens(port) or process.poll() is not None)
            assert process.poll() is None, (folder / "log").read_text("utf-8")
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Tell a server to stop, and see that it does."""
    process.terminate()
    try:
        process.wait(DEADLINE)
    finally:
        process.kill()


def listens(port: int) -> bool:
    """Say whether anybody does, at this port."""
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextmanager
def running(pair: Pair, folder: Path, *, store: str, workers: int = 1) -> Iterator[Site]:
    """Run an app of the suite until the block ends."""
    port = free_port()
    command = pair.command(port, workers)
    variables = {"CONFORMANCE_STORE": store, "CONFORMANCE_FOLDER": str(folder)}
    with serving(command, folder, port, variables) as process:
        site = Site(process, port, folder)
        try:
            yield site
        finally:
            site.notebook.open(EVERY_CASE)  # for handlers that a failed test has left waiting
