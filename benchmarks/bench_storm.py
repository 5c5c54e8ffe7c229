"""Two hundred duplicates of one call, from eight processes, over one server."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING

from idemkit import Idempotency
from tests.servers import running, valkey_binary

from .rows import Row

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

PROCESSES, THREADS = 8, 25
WORK = 0.1  # seconds
ROUNDS = 5
COMMANDS = 80


def rows() -> list[Row]:
    """Return the row of the table."""
    slowest, commands, runs = [], [], []
    context = multiprocessing.get_context("spawn")
    with running(valkey_binary()) as server:
        gate = context.Barrier(PROCESSES + 1)
        told: Queue[tuple[float, set[str]]] = context.Queue()
        workers = [
            context.Process(target=_worker, args=(server.url, gate, told), daemon=True)
            for _ in range(PROCESSES)
        ]
        for worker in workers:
            worker.start()
        for _ in range(ROUNDS):
            gate.wait()
            before = server.commands_sent()
            gate.wait()
            answers = [told.get(timeout=30) for _ in workers]
            commands.append(server.commands_sent() - before)
            slowest.append(max(seconds for seconds, _ in answers))
            runs.append(len(set().union(*(values for _, values in answers))))
        for worker in workers:
            worker.join()
    assert runs == [1] * ROUNDS
    note = f"1 run, {median(commands):.0f} commands sent"
    return [
        Row(
            f"storm: {PROCESSES} processes x {THREADS} duplicates, Valkey",
            median(slowest),
            "the call itself",
            WORK,
            bar=1.15,
            note=note,
        )
    ]


def _worker(url: str, gate: Barrier, told: Queue[tuple[float, set[str]]]) -> None:
    idempotency = Idempotency(url, namespace="storm")

    @idempotency.idempotent(name="work")
    def work(round_: int) -> str:
        time.sleep(WORK)
        return f"{round_} by {multiprocessing.current_process().name}"

    with ThreadPoolExecutor(THREADS) as threads:
        for round_ in range(ROUNDS):
            work(-1 - round_ * 100 - multiprocessing.current_process().pid)  # connections are up
            gate.wait()
            gate.wait()
            started = time.perf_counter()
            values = set(threads.map(work, [round_] * THREADS))
            told.put((time.perf_counter() - started, values))
