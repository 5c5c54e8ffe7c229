"""What tests of the core start from: a world of each colour, and somebody who listens."""

import asyncio
import contextvars
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from idemkit.core.colour import drive
from idemkit.core.telemetry import discovery
from tests.core.worlds import Backend, Process, World


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return threads that have ended when the test has."""
    with ThreadPoolExecutor(8) as threads:
        yield threads


@pytest.fixture(params=["sync", "async"])
def world(request: pytest.FixtureRequest, threads: ThreadPoolExecutor) -> Iterator[World]:
    """Return a world of each colour."""
    if request.param == "sync":
        yield World("sync", drive, threads)
        return
    with asyncio.Runner() as runner:

        def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
            return runner.run(coroutine, context=contextvars.copy_context())

        yield World("async", run, threads)


@pytest.fixture
def process(world: World) -> Process:
    """Return a process of each colour, with a far store."""
    return world.process()


@pytest.fixture
def sync_world(threads: ThreadPoolExecutor) -> World:
    """Return a world of synchronous callers."""
    return World("sync", drive, threads)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """Configure OpenTelemetry's SDK with exporters in memory."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", meters)
    for nothing in ("_signals", "_found"):
        monkeypatch.setattr(discovery, nothing, None)
    for unknown in ("_trace", "_tracers", "_metrics", "_meters"):
        monkeypatch.setattr(discovery, unknown, {})
    yield Backend(spans, reader)
    tracers.shutdown()
    meters.shutdown()
