"""A small world for tests of the core: records with a clock, and processes that share them."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from idemkit.core.call import Call, Replay
from idemkit.core.codecs import TypedCodec
from idemkit.core.colour import ASYNC, SYNC, drive
from idemkit.core.ending import Ending, returned
from idemkit.core.engine import Begun, Engine
from idemkit.core.execution import Execution
from idemkit.core.feeds import Feeds
from idemkit.core.flights import Flights
from idemkit.core.lease import Keeper
from idemkit.core.policy import Policy
from idemkit.core.result import Conclusion
from idemkit.core.wiring import Wiring
from idemkit.protocol import Record
from idemkit.stores import MemoryStore, Store
from idemkit.stores.base import Caller, Colour
from idemkit.testing import FakeClock, FaultyStore

CALL = Call("shop.pay", "shop.pay@1:", "5eed" * 8, b"payload")
CODEC = TypedCodec()


class Process:
    """One process: its store, its flights, its feeds, its keeper and its engines.

    Args:
        world: Where it lives.
        colour: Whom its store serves; if not told, those of the world's own colour.
        parting: Whether its beat thread can reach the store.
    """

    def __init__(self, world: "World", colour: Colour | None, *, parting: bool) -> None:
        self.world = world
        self.store = FaultyStore(world.memory, colour or world.caller)
        self.flights = Flights()
        self.feeds = Feeds()
        self.keeper = Keeper(world.clock, threaded=False)
        self._parting = FaultyStore(world.memory, "sync") if parting else None
        self.engine = self.engine_for(world.caller)

    def engine_for(self, caller: Caller, store: Store | None = None) -> Engine:
        """Return one more engine, on the same flights."""
        frame = SYNC if caller == "sync" else ASYNC
        parting = self._parting
        wiring = Wiring(store or self.store, frame, self.flights, self.keeper, parting, self.feeds)
        return Engine(wiring)

    def begin(self, call: Call = CALL, **settings: Any) -> Begun:
        """Begin a call."""
        begun: Begun = self.world.run(self.engine.begin(call, Policy(**settings)))
        return begun

    def execution(self, call: Call = CALL, **settings: Any) -> Execution:
        """Begin a call that must run."""
        execution = self.begin(call, **settings)
        assert isinstance(execution, Execution)
        execution.fix_ttl()
        return execution

    def replay(self, call: Call = CALL, **settings: Any) -> Replay:
        """Begin a call that must not run."""
        return cast("Replay", self.begin(call, **settings))

    def settle(self, execution: Execution, ending: Ending) -> Conclusion:
        """Settle an execution."""
        conclusion: Conclusion = self.world.run(self.engine.settle(execution, ending))
        return conclusion

    def complete(self, execution: Execution, value: Any) -> Conclusion:
        """Settle an execution whose body returned `value`."""
        return self.settle(execution, returned(execution, CODEC, value))

    def later(self, call: Call = CALL, **settings: Any) -> Future[Begun]:
        """Begin a call in another thread, on an event loop of its own if it needs one."""
        return self.world.later(self.engine.begin(call, Policy(**{"wait": 20, **settings})))


class World:
    """Records, their clock, and callers of one colour.

    Args:
        caller: The colour.
        run: Runs a coroutine to its end.
        threads: Where other callers live.
    """

    def __init__(
        self,
        caller: Caller,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
        threads: ThreadPoolExecutor,
    ) -> None:
        self.caller = caller
        self.run = run
        self.clock = FakeClock(time.monotonic())
        self.memory = MemoryStore(clock=self.clock.milliseconds)
        self._threads = threads

    def process(self, colour: Colour | None = None, *, parting: bool = True) -> Process:
        """Return one more process."""
        return Process(self, colour, parting=parting)

    def later(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine in another thread."""
        run = drive if self.caller == "sync" else asyncio.run
        return self._threads.submit(run, coroutine)

    def record(self, call: Call = CALL) -> Record:
        """Return what is kept of a call."""
        found = drive(self.memory.peek(call.address))
        assert found is not None
        return found[0]


@dataclass
class Backend:
    """What the exporters have received."""

    spans: InMemorySpanExporter
    reader: InMemoryMetricReader

    def ended(self) -> list[tuple[str, object]]:
        """Return the names and outcomes of the spans that have ended."""
        return [
            (span.name, (span.attributes or {}).get("idemkit.outcome"))
            for span in self.spans.get_finished_spans()
        ]

    def points(self, name: str) -> list[Any]:
        """Return the data points of a metric."""
        collected = self.reader.get_metrics_data()
        return [
            point
            for resource in (collected.resource_metrics if collected else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]
