"""Whether anybody listens, and the tracer and instruments to speak to once somebody does.

The API alone costs 30 ms to import, so it is imported only after the process has done so itself,
which every way to configure a provider does.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .harmless import harmless

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter
    from opentelemetry.trace import Tracer

SCOPE: Final = "idemkit"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.27.0"

# Seconds; from a replay in memory to a long completion, and from a dictionary to a slow network.
OPERATION_BUCKETS: Final = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STORE_BUCKETS: Final = (1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.1, 0.5, 1, 5)


@dataclass(frozen=True, slots=True)
class Signals:
    """The tracer and the instruments, made once there is a provider."""

    tracer: Tracer
    duration: Histogram
    store_duration: Histogram
    active: UpDownCounter
    outcomes: Counter
    lease_losses: Counter
    chunks: Counter
    sizes: Counter
    first_chunk: Histogram
    readers: UpDownCounter
    saved_tokens: Counter
    saved_cost: Counter


_signals: Signals | None = None
_found: tuple[object, object] | None = None

# Where the API keeps its providers, and what was kept there at the last look: its getters read
# the environment each time, which costs more than a whole replay. A dictionary in the place of a
# provider means "look again", so an API that keeps them elsewhere is merely slower.
_trace: Mapping[str, object] = {}
_tracers: object = _trace
_metrics: Mapping[str, object] = {}
_meters: object = _metrics


def active() -> bool:
    """Say whether anybody listens, at the price of one `if` when nobody can."""
    return _signals is not None or ("opentelemetry" in sys.modules and _discover())


def _discover() -> bool:
    if _trace.get("_TRACER_PROVIDER") is _tracers and _metrics.get("_METER_PROVIDER") is _meters:
        return False
    with harmless:
        _look()
    return _signals is not None


def _look() -> None:
    """Ask the API for its providers, and speak to them if they are new."""
    global _found, _signals, _trace, _tracers, _metrics, _meters  # noqa: PLW0603 - read per call
    from opentelemetry import metrics, trace  # noqa: PLC0415 - see above

    _trace, _metrics = vars(trace), vars(getattr(metrics, "_internal", metrics))
    _tracers = _trace.get("_TRACER_PROVIDER", _trace)
    _meters = _metrics.get("_METER_PROVIDER", _metrics)
    found = trace.get_tracer_provider(), metrics.get_meter_provider()
    if found != _found:
        _found, _signals = found, _connect()


def _connect() -> Signals | None:
    from opentelemetry import metrics, trace  # noqa: PLC0415 - see above

    release = _release()
    tracer = trace.get_tracer(SCOPE, release, schema_url=SCHEMA_URL)
    meter = metrics.get_meter(SCOPE, release, schema_url=SCHEMA_URL)
    if _is_idle(tracer) and _is_idle(meter):
        return None
    # The one that is idle may be a proxy, and starts to work when its provider is configured.
    return _instruments(tracer, meter)


def _is_idle(made: Tracer | Meter) -> bool:
    """Say whether this is the API's own: a proxy for nothing yet, or switched off."""
    return type(made).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


def _instruments(tracer: Tracer, meter: Meter) -> Signals:
    return Signals(
        tracer=tracer,
        duration=meter.create_histogram(
            "idemkit.operation.duration",
            unit="s",
            description="Time from the call to its outcome, waiting included.",
            explicit_bucket_boundaries_advisory=OPERATION_BUCKETS,
        ),
        store_duration=meter.create_histogram(
            "idemkit.store.operation.duration",
            unit="s",
            description="Time the store took for one command.",
            explicit_bucket_boundaries_advisory=STORE_BUCKETS,
        ),
        active=meter.create_up_down_counter(
            "idemkit.operation.active", unit="{execution}", description="Executions under way."
        ),
        outcomes=meter.create_counter(
            "idemkit.outcomes", unit="{call}", description="Calls that have ended."
        ),
        lease_losses=meter.create_counter(
            "idemkit.lease.losses", unit="{lease}", description="Leases lost while running."
        ),
        **(_of_streams(meter) | _of_models(meter)),
    )


def _of_streams(meter: Meter) -> dict[str, Any]:
    return {
        "chunks": meter.create_counter(
            "idemkit.stream.chunks", unit="{chunk}", description="Items that were handed out."
        ),
        "sizes": meter.create_counter(
            "idemkit.stream.size", unit="By", description="Bytes of items that were handed out."
        ),
        "first_chunk": meter.create_histogram(
            "idemkit.stream.first_chunk.duration",
            unit="s",
            description="Time from the call to its first item.",
            explicit_bucket_boundaries_advisory=OPERATION_BUCKETS,
        ),
        "readers": meter.create_up_down_counter(
            "idemkit.stream.readers",
            unit="{reader}",
            description="Duplicates that read what is being produced.",
        ),
    }


def _of_models(meter: Meter) -> dict[str, Any]:
    return {
        "saved_tokens": meter.create_counter(
            "idemkit.saved.tokens",
            unit="{token}",
            description="Tokens of answers that were replayed.",
        ),
        "saved_cost": meter.create_counter(
            "idemkit.saved.cost",
            unit="{currency}",
            description="What answers that were replayed have cost.",
        ),
    }


def _release() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - 10 ms

    try:
        return version("idemkit-toolkit")
    except PackageNotFoundError:
        return ""


def live() -> Signals:
    """Return the signals; only after `active` said yes."""
    if _signals is None:
        raise RuntimeError("ask active() first")
    return _signals
