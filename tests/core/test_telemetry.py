"""What OpenTelemetry hears, told by the real SDK with exporters in memory."""

import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from opentelemetry import context, metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from idemkit.core import telemetry
from idemkit.core.telemetry import Observed, Subject, discovery, executing, refused, replayed
from idemkit.core.telemetry.harmless import harmless
from idemkit.errors import InProgressError, StoreUnavailableError
from idemkit.stores import MemoryStore, Store
from idemkit.stores.base import Caller

ROOT = Path(__file__).parents[2]
CHAT = Subject("chat.answer", "redis", "5eed")
LABELS = {"idemkit.operation.name": "chat.answer", "idemkit.store.name": "redis"}
SECRET = "patient 4711"  # noqa: S105 - stands for any payload

NOWHERE = [
    pytest.param("", id="empty"),
    pytest.param("nonsense", id="no traceparent"),
    pytest.param(f"00-{'0' * 32}-{'0' * 16}-01", id="zeros"),
    pytest.param(f"ff-{'1' * 32}-{'1' * 16}-01", id="forbidden version"),
    pytest.param("x" * 100_000, id="huge"),
]


class BrokenError(Exception):
    """What a broken exporter raises."""


def fail(*_: object, **__: object) -> NoReturn:
    """Fail with a message that quotes payload."""
    raise BrokenError(SECRET)


class BrokenProcessor(SpanProcessor):
    """A span processor whose exporter is gone."""

    on_start = fail
    on_end = fail


@dataclass
class Backend:
    """What the exporters have received."""

    tracers: TracerProvider
    spans: InMemorySpanExporter
    reader: InMemoryMetricReader

    def span(self) -> ReadableSpan:
        """Return the only span that has ended."""
        (span,) = self.spans.get_finished_spans()
        return span

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

    def values(self, name: str) -> list[tuple[dict[str, object], float]]:
        """Return what a counter counted, by attributes."""
        return [(dict(point.attributes), point.value) for point in self.points(name)]


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start as a process does in which nobody has configured anything, and leave no trace."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", None)
    for nothing in ("_signals", "_found"):
        monkeypatch.setattr(discovery, nothing, None)
    for unknown in ("_trace", "_tracers", "_metrics", "_meters"):
        monkeypatch.setattr(discovery, unknown, {})
    monkeypatch.setattr(harmless, "complained", False)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """Configure the SDK with exporters in memory."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", meters)
    assert telemetry.active()
    yield Backend(tracers, spans, reader)
    tracers.shutdown()
    meters.shutdown()


def execute(subject: Subject = CHAT, **how: Any) -> Observed:
    """Run one execution from its beginning to its end."""
    observed = executing(subject, telemetry.started(), attempt=1, waited=0.0)
    observed.end("executed", **{"attempt": 1, "recorded": True, **how})
    return observed


def replay(subject: Subject = CHAT, *, origin: str = "") -> None:
    """Replay one outcome."""
    replayed(subject, telemetry.started(), outcome="replayed", origin=origin, attempt=2, waited=0.5)


def identity(span: SpanContext | None) -> str:
    """Return which span this is, as a traceparent without the flags says it."""
    assert span is not None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}"


def run(program: str, **environment: str) -> list[str]:
    """Run a program in a process of its own and return the words it printed."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split()


# ------------------------------------------------------------------------------ discovery


def test_without_sdk_nothing_is_imported() -> None:
    """Asking whether anybody listens does not load the API."""
    printed = run(
        """
        import sys
        from idemkit.core import telemetry
        print(telemetry.active(), "opentelemetry" in sys.modules, "asyncio" in sys.modules)
        """
    )
    assert ["False", "False", "False"] == printed


def test_api_without_provider_is_silent() -> None:
    """The API may be loaded by somebody else; without a provider nobody listens."""
    assert [False, False] == [telemetry.active(), telemetry.active()]


def test_provider_configured_after_the_first_calls_is_found() -> None:
    """Providers set through the public API are picked up, and each starts its own signals."""
    printed = run(
        """
        from idemkit.core import telemetry
        before = telemetry.active()
        from opentelemetry import metrics, trace
        between = telemetry.active()
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        trace.set_tracer_provider(TracerProvider())
        after = telemetry.active()
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        telemetry.lease_lost(telemetry.Subject("chat", "memory", ""))
        (resource,) = reader.get_metrics_data().resource_metrics
        (scope,) = resource.scope_metrics
        print(before, between, after, *(metric.name for metric in scope.metrics))
        """
    )
    assert ["False", "False", "True", "idemkit.lease.losses"] == printed


def test_metrics_work_without_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever configures only metrics gets metrics, and no origin for the record."""
    reader = InMemoryMetricReader()
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", MeterProvider([reader]))
    telemetry.active()
    observed = execute()
    backend = Backend(TracerProvider(), InMemorySpanExporter(), reader)
    expected = [({**LABELS, "idemkit.outcome": "executed"}, 1)]
    assert ("", expected) == (observed.traceparent, backend.values("idemkit.outcomes"))


def test_disabled_sdk_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_SDK_DISABLED` switches idemkit's signals off as well."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider())
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", MeterProvider())
    assert not telemetry.active()


def test_no_op_providers_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers that do nothing are nobody listening."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", metrics.NoOpMeterProvider())
    assert not telemetry.active()


def test_providers_kept_elsewhere_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that renames its globals is asked through its getters, whenever that may be."""
    kept: list[trace.TracerProvider] = [trace.NoOpTracerProvider()]
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: kept[-1])
    monkeypatch.delattr(trace, "_TRACER_PROVIDER")
    before = telemetry.active(), telemetry.active()
    kept.append(TracerProvider())
    assert ((False, False), True) == (before, telemetry.active())


def test_broken_provider_is_silent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider that cannot make a tracer costs a warning, once, and its signals."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", SimpleNamespace(get_tracer=fail))
    found = [telemetry.active(), telemetry.active()]
    assert ([False, False], 1) == (found, len(caplog.records))


def test_scope_has_name_version_and_schema(backend: Backend) -> None:
    """The tracer says who speaks, in which release and by which schema."""
    execute()
    scope = backend.span().instrumentation_scope
    assert scope is not None
    assert ("idemkit", discovery._release(), discovery.SCHEMA_URL) == (
        scope.name,
        scope.version,
        scope.schema_url,
    )


def test_version_is_empty_where_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the source that was never installed has no version to tell."""

    def missing(name: str) -> NoReturn:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    assert not discovery._release()


# ------------------------------------------------------------------------------ executions


def test_execution_is_one_internal_span(backend: Backend) -> None:
    """An execution's span has its name, kind, beginning and nothing of an error."""
    begun = telemetry.started()
    executing(CHAT, begun, attempt=1, waited=0.0).end("executed", attempt=1, recorded=True)
    span = backend.span()
    assert ("execute chat.answer", SpanKind.INTERNAL, begun.wall, StatusCode.UNSET) == (
        span.name,
        span.kind,
        span.start_time,
        span.status.status_code,
    )


def test_execution_attributes(backend: Backend) -> None:
    """An execution's span says which operation, store, key and attempt, and how it ended."""
    observed = executing(CHAT, telemetry.started(), attempt=2, waited=0.25)
    observed.end("recovered", attempt=3, recorded=False)
    assert {
        **LABELS,
        "idemkit.key.hash": "5eed",
        "idemkit.attempt": 3,
        "idemkit.wait.duration": 0.25,
        "idemkit.outcome": "recovered",
        "idemkit.outcome.recorded": False,
    } == dict(backend.span().attributes or {})


def test_traceparent_names_the_span(backend: Backend) -> None:
    """What goes into the record leads back to the execution's span."""
    observed = execute()
    assert identity(backend.span().context) == observed.traceparent[:-3]


def test_unsampled_span_leaves_no_traceparent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay must not link to a span that nobody kept."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
    telemetry.active()
    assert not execute().traceparent


def test_span_is_current_in_the_body(backend: Backend) -> None:
    """Spans that the body opens are children of the execution's span."""
    with executing(CHAT, telemetry.started(), attempt=1, waited=0.0) as observed:
        backend.tracers.get_tracer("body").start_span("inference").end()
    assert identity(backend.span().parent) == observed.traceparent[:-3]


def test_span_is_not_current_after_the_body(backend: Backend) -> None:
    """Leaving the body gives the caller its own span back."""
    with backend.tracers.get_tracer("caller").start_as_current_span("request") as request:
        with executing(CHAT, telemetry.started(), attempt=1, waited=0.0):
            pass
        assert request is trace.get_current_span()


def test_execution_is_active_until_its_end(backend: Backend) -> None:
    """The up-down counter shows how many executions are under way."""
    observed = executing(CHAT, telemetry.started(), attempt=1, waited=0.0)
    during = backend.values("idemkit.operation.active")
    observed.end("executed", attempt=1, recorded=True)
    after = backend.values("idemkit.operation.active")
    assert ([(LABELS, 1)], [(LABELS, 0)]) == (during, after)


def test_second_end_changes_nothing(backend: Backend) -> None:
    """An execution is counted once, however often it is ended."""
    execute().end("fallback", attempt=1, recorded=True)
    expected = [({**LABELS, "idemkit.outcome": "executed"}, 1)]
    assert expected == backend.values("idemkit.outcomes")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError(SECRET), "ValueError"),
        (InProgressError(SECRET), "idemkit.errors.InProgressError"),
    ],
)
def test_failure_is_told_by_type_alone(backend: Backend, error: Exception, name: str) -> None:
    """A failed execution has an error status and type; its message stays at home."""
    execute(error=error)
    span = backend.span()
    assert (name, StatusCode.ERROR, None, ()) == (
        (span.attributes or {}).get("error.type"),
        span.status.status_code,
        span.status.description,
        tuple(span.events),
    )


def test_nothing_quotes_the_failure(backend: Backend) -> None:
    """No exported signal contains what an exception's message quoted."""
    execute(error=ValueError(SECRET))
    refused(CHAT, telemetry.started(), error=ValueError(SECRET), waited=0.0)
    exported = [span.to_json() for span in backend.spans.get_finished_spans()]
    collected = backend.reader.get_metrics_data()
    assert collected is not None
    assert SECRET not in "".join([*exported, collected.to_json()])


# ------------------------------------------------------------------------------ replays


def test_replay_links_to_the_execution(backend: Backend) -> None:
    """A replay's span leads to the span that produced the outcome."""
    observed = execute()
    original = backend.span().context
    backend.spans.clear()
    replay(origin=observed.traceparent)
    (link,) = backend.span().links
    assert identity(original) == identity(link.context)


@pytest.mark.parametrize("origin", NOWHERE)
def test_origin_that_cannot_be_read_is_ignored(backend: Backend, origin: str) -> None:
    """A replay without a readable origin links nowhere, not even to the caller's own span."""
    with trace.use_span(backend.tracers.get_tracer("caller").start_span("request")):
        replay(origin=origin)
    assert ("replay chat.answer", ()) == (backend.span().name, tuple(backend.span().links))


def test_replay_attributes(backend: Backend) -> None:
    """A replay's span says what was handed out, and how long that was waited for."""
    replay()
    assert {
        **LABELS,
        "idemkit.key.hash": "5eed",
        "idemkit.attempt": 2,
        "idemkit.wait.duration": 0.5,
        "idemkit.outcome": "replayed",
    } == dict(backend.span().attributes or {})


def test_refusal_is_an_error_without_outcome(backend: Backend) -> None:
    """A call that idemkit refuses has no outcome, only the type of its error."""
    refused(CHAT, telemetry.started(), error=InProgressError("busy"), waited=1.5)
    span = backend.span()
    assert (
        "execute chat.answer",
        StatusCode.ERROR,
        {
            **LABELS,
            "idemkit.key.hash": "5eed",
            "idemkit.wait.duration": 1.5,
            "error.type": "idemkit.errors.InProgressError",
        },
    ) == (span.name, span.status.status_code, dict(span.attributes or {}))


# ------------------------------------------------------------------------------ metrics


def test_every_call_is_counted_by_its_outcome(backend: Backend) -> None:
    """The counter has a series for each outcome and each kind of failure."""
    execute()
    execute(error=KeyError())
    replay()
    replay()
    refused(CHAT, telemetry.started(), error=TimeoutError(), waited=0.0)
    executed, again = {"idemkit.outcome": "executed"}, {"idemkit.outcome": "replayed"}
    assert [
        ({**LABELS, **executed}, 1),
        ({**LABELS, **executed, "error.type": "KeyError"}, 1),
        ({**LABELS, **again}, 2),
        ({**LABELS, "error.type": "TimeoutError"}, 1),
    ] == backend.values("idemkit.outcomes")


def test_duration_runs_from_the_call(backend: Backend) -> None:
    """The histogram measures seconds since the call began, in buckets fit for completions."""
    begun = telemetry.started()
    replayed(
        CHAT,
        replace(begun, clock=begun.clock - 70),
        outcome="joined",
        origin="",
        attempt=1,
        waited=69.0,
    )
    point: HistogramDataPoint
    (point,) = backend.points("idemkit.operation.duration")
    assert (discovery.OPERATION_BUCKETS, 1) == (
        tuple(point.explicit_bounds),
        point.bucket_counts[discovery.OPERATION_BUCKETS.index(60) + 1],
    )


def test_lost_lease_is_counted(backend: Backend) -> None:
    """Each lost lease counts."""
    telemetry.lease_lost(CHAT)
    assert [(LABELS, 1)] == backend.values("idemkit.lease.losses")


# ------------------------------------------------------------------------------ hooks


def test_user_attributes_are_on_spans(backend: Backend) -> None:
    """What the user adds stands beside idemkit's own."""
    execute(replace(CHAT, attributes={"app.model": "small", "app.tags": ["a", "b"]}))
    attributes = backend.span().attributes or {}
    assert ("small", ("a", "b")) == (attributes.get("app.model"), attributes.get("app.tags"))


def test_plain_user_attributes_are_on_metrics(backend: Backend) -> None:
    """Savings can be grouped by a plain value; a list makes no series."""
    replay(replace(CHAT, attributes={"app.model": "small", "app.tags": ["a", "b"]}))
    assert [({**LABELS, "app.model": "small", "idemkit.outcome": "replayed"}, 1)] == (
        backend.values("idemkit.outcomes")
    )


def test_user_attributes_override_nothing(backend: Backend) -> None:
    """Names of idemkit's own, present or not, are not the user's to set."""
    replay(replace(CHAT, attributes={"idemkit.outcome": "x", "idemkit.y": "z", "error.type": "E"}))
    attributes = backend.span().attributes or {}
    assert ("replayed", None, None) == (
        attributes.get("idemkit.outcome"),
        attributes.get("idemkit.y"),
        attributes.get("error.type"),
    )


def test_broken_user_attributes_cost_only_themselves(backend: Backend) -> None:
    """Attributes that cannot be read leave span and metrics as they would be without."""
    execute(replace(CHAT, attributes=SimpleNamespace(items=fail)))  # type: ignore[arg-type]
    expected = [({**LABELS, "idemkit.outcome": "executed"}, 1)]
    assert ("execute chat.answer", expected) == (
        backend.span().name,
        backend.values("idemkit.outcomes"),
    )


def test_hook_gets_the_call() -> None:
    """A hook is called with the call's own arguments."""

    def hook(prompt: str, *, model: str) -> Mapping[str, str]:
        return {"app.model": model, "app.length": str(len(prompt))}

    expected = {"app.model": "small", "app.length": "2"}
    assert expected == telemetry.attributes_from(hook, "hi", model="small")


def test_failing_hook_adds_nothing() -> None:
    """A hook that raises does not break the call."""
    assert None is telemetry.attributes_from(fail, "hi")


# ------------------------------------------------------------------------------ failures


def test_broken_processor_does_not_break_the_call(backend: Backend) -> None:
    """A processor that raises costs the span; the call goes on and the metrics stay right."""
    backend.tracers.add_span_processor(BrokenProcessor())
    with executing(CHAT, telemetry.started(), attempt=1, waited=0.0) as observed:
        pass
    observed.end("executed", attempt=1, recorded=True)
    expected = [({**LABELS, "idemkit.outcome": "executed"}, 1)]
    assert expected == backend.values("idemkit.outcomes")


def test_broken_processor_leaves_nothing_active(backend: Backend) -> None:
    """An execution whose span failed has ended all the same."""
    backend.tracers.add_span_processor(BrokenProcessor())
    execute()
    assert [(LABELS, 0)] == backend.values("idemkit.operation.active")


def test_failure_is_logged_once_without_payload(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """The first failure is a warning that names its type, and only that."""
    backend.tracers.add_span_processor(BrokenProcessor())
    replay()
    replay()
    (record,) = caplog.records
    assert ("idemkit", logging.WARNING, None, False) == (
        record.name,
        record.levelno,
        record.exc_info,
        SECRET in record.getMessage(),
    )


def test_signal_before_asking_is_harmless(caplog: pytest.LogCaptureFixture) -> None:
    """Signals without `active()` go nowhere, and say so."""
    telemetry.lease_lost(CHAT)
    assert ["RuntimeError"] == [vars(record)["error_type"] for record in caplog.records]


def test_exit_of_the_program_passes() -> None:
    """What is no `Exception` is not for telemetry to swallow."""

    def leave() -> NoReturn:
        raise SystemExit

    with pytest.raises(SystemExit):
        telemetry.attributes_from(leave)


@pytest.mark.usefixtures("backend")
def test_context_is_left_as_it_was() -> None:
    """The body's own failure passes through the span's block and leaves no span current."""
    before = context.get_current()
    with (
        pytest.raises(BrokenError),
        executing(CHAT, telemetry.started(), attempt=1, waited=0.0),
    ):
        fail()
    assert before == context.get_current()


# ------------------------------------------------------------------------------ stores


class TwoFacedStore(MemoryStore):
    """A store that has a face of its own for async callers, and remembers what reached it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.other = MemoryStore()

    def face(self, caller: Caller, /) -> Store:
        """Return the other one to async callers."""
        return self.other if caller == "async" else self

    async def open(self) -> None:
        """Remember."""
        self.heard.append("open")

    async def close(self) -> None:
        """Remember."""
        self.heard.append("close")

    def after_fork(self) -> None:
        """Remember."""
        self.heard.append("after_fork")


async def unavailable(*_: object) -> NoReturn:
    """Answer as a store does that is down."""
    raise StoreUnavailableError(SECRET)


VERBS: list[tuple[str, Sequence[object]]] = [
    ("claim", ("5eed", None)),
    ("complete", ("5eed", None)),
    ("step", ("5eed", None)),
    ("append", ("5eed", None)),
    ("read", ("5eed", None)),
    ("cancel", ("5eed",)),
    ("release", ("5eed", None)),
    ("forget", ("5eed", 0)),
    ("peek", ("5eed",)),
]


@pytest.mark.parametrize(("verb", "arguments"), VERBS)
async def test_store_verbs_are_timed(
    backend: Backend, verb: str, arguments: Sequence[object]
) -> None:
    """Each verb is a series of its own."""
    store = MemoryStore()

    async def answer(*given: object) -> Sequence[object]:
        return given

    setattr(store, verb, answer)
    answered = await getattr(telemetry.store_observed(store), verb)(*arguments)
    (point,) = backend.points("idemkit.store.operation.duration")
    expected = {"idemkit.store.name": "memory", "idemkit.store.operation": verb}
    assert (arguments, expected, 1) == (answered, dict(point.attributes), point.count)


async def test_failing_store_is_timed_too(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that fails reaches the caller as it is, and has its type in the histogram."""
    store = MemoryStore()
    monkeypatch.setattr(store, "peek", unavailable)
    with pytest.raises(StoreUnavailableError):
        await telemetry.store_observed(store).peek("5eed")
    (point,) = backend.points("idemkit.store.operation.duration")
    assert "idemkit.errors.StoreUnavailableError" == point.attributes["error.type"]


async def test_silent_store_hands_through() -> None:
    """While nobody listens, the store's own coroutine is what the caller awaits."""
    store = MemoryStore()
    pending = telemetry.store_observed(store).peek("5eed")
    assert ("peek", None) == (getattr(pending, "__name__", ""), await pending)


async def test_observed_store_passes_on_the_rest() -> None:
    """What is no command reaches the store as it is."""
    store = TwoFacedStore()
    observed = telemetry.store_observed(store)
    await observed.open()
    await observed.close()
    observed.after_fork()
    assert ["open", "close", "after_fork"] == store.heard


def test_observed_store_beats_and_watches() -> None:
    """Renewals and listeners reach the store."""
    observed = telemetry.store_observed(MemoryStore())
    rung: list[str] = []
    stop: Callable[[], None] = observed.watch("5eed", lambda: rung.append("ring"))
    stop()
    assert ([], ["ring"]) == (list(observed.beat([])), rung)


def test_observed_store_keeps_name_and_colour() -> None:
    """Messages and pairing see the store as it is."""
    observed = telemetry.store_observed(MemoryStore())
    assert ("memory", "any") == (observed.name, observed.colour)


def test_face_of_an_observed_store_is_observed() -> None:
    """The face that a caller uses is observed too, and the same object where the store is."""
    observed = telemetry.store_observed(TwoFacedStore())
    assert (True, type(observed)) == (
        observed is observed.face("sync"),
        type(observed.face("async")),
    )
