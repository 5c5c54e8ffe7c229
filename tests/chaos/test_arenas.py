"""Every attack, once, on every store: nobody's promise is broken by it."""

import random
import socket
import time
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.arenas import Arena, arena
from tests.chaos.crew import Crew
from tests.chaos.events import Scribe, read
from tests.chaos.history import History
from tests.chaos.judge import violations
from tests.chaos.worker import LEASE, Settings
from tests.proxy import proxy_to
from tests.servers import binaries, free_port, wait_until

SERVERS = sorted(binaries())


class Brief(random.Random):
    """Draws the shortest trouble, the first worker, and silence instead of a cut."""

    def random(self) -> float:
        """Return the largest number."""
        return 0.99

    def choice(self, seq: "tuple[float, ...]") -> float:  # type: ignore[override]
        """Return the first."""
        return seq[0]


def recruit(place: Arena, folder: Path, born: float, name: str) -> Settings:
    """Return the settings of a worker in an arena."""
    return Settings(place.url, str(folder), name, 7, ("sync", "async"), born=born, pace=20.0)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", "sqlite", *SERVERS])
def test_every_attack_once(store: str, tmp_path: Path, attacker: Scribe) -> None:
    """Nothing that can be done to a store breaks a promise."""
    with arena(store, tmp_path, attacker, Brief(7)) as place:
        recruiter = partial(recruit, place, tmp_path, time.monotonic())
        with Crew(recruiter, 1, attacker) as crew:
            for attack in place.attacks():
                wait_until(lambda: any(event.kind == "got" for event in read(tmp_path)))
                attack(crew)
            crew.calm_down(20, patience=60)
    assert [] == list(violations(History(read(tmp_path)), lease=LEASE))


@pytest.mark.parametrize("store", SERVERS)
def test_server_forgets_nothing_when_it_is_restarted(
    store: str, tmp_path: Path, attacker: Scribe
) -> None:
    """What a server knew it knows again."""
    with arena(store, tmp_path, attacker, Brief(7)) as place:
        server = place._server  # type: ignore[attr-defined]
        server.do("SET", "k", "v")
        nobody = Crew(partial(recruit, place, tmp_path, 0.0), 0, attacker)
        place.restart(nobody)  # type: ignore[attr-defined]
        assert b"v" == server.do("GET", "k")


def test_proxy_outlives_its_server() -> None:
    """Who comes while the server is away is turned away, and so is the next."""
    with proxy_to(free_port()) as proxy:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", proxy.port), 20) as client:
                assert b"" == client.recv(1)


def test_proxy_keeps_no_connection_that_is_over() -> None:
    """When both sides have ended, the proxy has nothing left of them."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        proxy_to(listener.getsockname()[1]) as proxy,
    ):
        client = socket.create_connection(("127.0.0.1", proxy.port), 20)
        server, _ = listener.accept()
        wait_until(lambda: len(proxy._ends) == 2)
        client.close()
        server.close()
        wait_until(lambda: not proxy._ends)
