"""The life of one guarded call as spans and metrics: executing, replayed or refused."""

# OpenTelemetry is imported where an active call needs it, so that nobody else pays for it.
# ruff: noqa: PLC0415

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .attributes import (
    ATTEMPT,
    KEY_HASH,
    OUTCOME,
    RECORDED,
    WAITED,
    Subject,
    extras,
    failure,
    labels,
    plain_extras,
)
from .discovery import live
from .harmless import harmless
from .sequences import Tally, attached

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextvars import Token
    from typing import Self

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span
    from opentelemetry.util.types import AttributeValue


@dataclass(frozen=True, slots=True)
class Started:
    """When a call began.

    Args:
        wall: Unix time in nanoseconds.
        clock: `time.perf_counter` in seconds.
    """

    wall: int
    clock: float


def started() -> Started:
    """Note the beginning of a call."""
    return Started(time.time_ns(), time.perf_counter())


class Observed:
    """An execution under way, as the tracer sees it: current while the body runs, then ended.

    Attributes:
        traceparent: W3C name of the span for the record; empty if nobody keeps the span.
    """

    __slots__ = ("_ended", "_span", "_started", "_subject", "_tally", "_token", "traceparent")

    def __init__(self, subject: Subject, started: Started) -> None:
        self.traceparent: str = ""
        self._subject = subject
        self._started = started
        self._ended = False
        self._span: Span | None = None
        self._token: Token[Context] | None = None
        self._tally: Tally | None = None

    @property
    def tally(self) -> Tally:
        """What it has come to so far, if it is a sequence; whoever asks says that it is one."""
        if self._tally is None:
            self._tally = Tally(self._started.clock, attached=True)
        return self._tally

    def begin(self, attempt: int, waited: float) -> None:
        """Open the span; `executing` does."""
        about = {ATTEMPT: attempt, WAITED: waited}
        self._span = span = _start("execute", self._subject, self._started, about)
        if span.is_recording():
            self.traceparent = _traceparent(span)

    def __enter__(self) -> Self:
        with harmless:
            self._attach()
        return self

    def _attach(self) -> None:
        from opentelemetry import context, trace

        if self._span is not None:
            self._token = context.attach(trace.set_span_in_context(self._span))

    def __exit__(self, *_: object) -> None:
        with harmless:
            self._detach()

    def _detach(self) -> None:
        from opentelemetry import context

        if self._token is not None:
            context.detach(self._token)
            self._token = None

    def end(
        self, outcome: str, *, error: BaseException | None = None, attempt: int, recorded: bool
    ) -> None:
        """Close the span and count the outcome; a second time does nothing.

        Args:
            outcome: A word of the vocabulary, such as ``"executed"``.
            error: What the caller gets instead of a value.
            attempt: Number of the attempt that ran.
            recorded: Whether duplicates will be given this outcome.
        """
        if self._ended:
            return
        self._ended = True
        with harmless:
            live().active.add(-1, labels(self._subject))
            _count(self._subject, self._started, outcome, error)
        about: dict[str, AttributeValue] = {OUTCOME: outcome, ATTEMPT: attempt, RECORDED: recorded}
        if self._tally is not None:
            about |= self._tally.attributes()
            with harmless:
                self._tally.count(self._subject, outcome)
        if self._span is not None:
            with harmless:
                _end(self._span, about, error)


def executing(subject: Subject, started: Started, *, attempt: int, waited: float) -> Observed:
    """Open the span of an execution that is about to run.

    Args:
        subject: The call.
        started: When it began.
        attempt: Number of this attempt.
        waited: Seconds spent waiting for somebody else's outcome.
    """
    observed = Observed(subject, started)
    with harmless:
        live().active.add(1, labels(subject))
    with harmless:
        observed.begin(attempt, waited)
    return observed


def replayed(
    subject: Subject, started: Started, *, outcome: str, origin: str, attempt: int, waited: float
) -> None:
    """Tell of an outcome that was handed out without running the body.

    Args:
        subject: The call.
        started: When it began.
        outcome: A word of the vocabulary, such as ``"replayed"``.
        origin: The `traceparent` of the execution that produced the outcome; the span links there
            unless it is empty or malformed.
        attempt: Number of the attempt that produced the outcome.
        waited: Seconds spent waiting for it.
    """
    about: dict[str, AttributeValue] = {OUTCOME: outcome, ATTEMPT: attempt, WAITED: waited}
    with harmless:
        _count(subject, started, outcome, None)
    with harmless:
        _start("replay", subject, started, about, links=_links(origin)).end()


class Reading:
    """A reader of somebody else's sequence, as the tracer sees it.

    Args:
        subject: The call.
        outcome: ``"joined"``, while it is produced, or ``"replayed"``.

    Attributes:
        tally: What it has read so far.
    """

    def __init__(self, subject: Subject, outcome: str) -> None:
        self._subject = subject
        self._outcome = outcome
        self._started = started()
        self.tally: Tally = Tally(self._started.clock, attached=False)
        self._attach(1)

    def end(self, *, origin: str, attempt: int, error: BaseException | None) -> None:
        """Tell of it, now that it has ended.

        Args:
            origin: The `traceparent` of the execution that produced the sequence.
            attempt: Number of the attempt that did, or 0 if nobody knows.
            error: What the reader gets at the end.
        """
        waited = time.perf_counter() - self._started.clock if self._outcome == "joined" else 0.0
        about: dict[str, AttributeValue] = {
            OUTCOME: self._outcome,
            ATTEMPT: attempt,
            WAITED: waited,
            **self.tally.attributes(),
        }
        self._attach(-1)
        with harmless:
            _count(self._subject, self._started, self._outcome, error)
            self.tally.count(self._subject, self._outcome)
        with harmless:
            span = _start("replay", self._subject, self._started, about, links=_links(origin))
            _end(span, {}, error)

    def _attach(self, change: int) -> None:
        if self._outcome == "joined":
            with harmless:
                attached(self._subject, change)


def refused(subject: Subject, started: Started, *, error: BaseException, waited: float) -> None:
    """Tell of a call that ended in an error of idemkit's own before its body could run.

    Args:
        subject: The call.
        started: When it began.
        error: What the caller gets.
        waited: Seconds spent waiting for somebody else's outcome.
    """
    with harmless:
        _count(subject, started, None, error)
    with harmless:
        _end(_start("execute", subject, started, {WAITED: waited}), {}, error)


def lease_lost(subject: Subject) -> None:
    """Count a claim that somebody else took over while its body was running."""
    with harmless:
        live().lease_losses.add(1, labels(subject))


# ------------------------------------------------------------------------------ spans


def _start(
    verb: str,
    subject: Subject,
    started: Started,
    about: Mapping[str, AttributeValue],
    *,
    links: Sequence[Link] = (),
) -> Span:
    return live().tracer.start_span(
        f"{verb} {subject.operation}",
        attributes={**extras(subject), **labels(subject), KEY_HASH: subject.address, **about},
        links=links,
        start_time=started.wall,
    )


def _end(span: Span, about: Mapping[str, AttributeValue], error: BaseException | None) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attributes({**about, **failure(error)})
    if error is not None:
        # Neither a description nor an exception event: a message may quote the payload.
        span.set_status(StatusCode.ERROR)
    span.end()


def _traceparent(span: Span) -> str:
    from opentelemetry.trace import set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, set_span_in_context(span))
    return carrier.get("traceparent", "")


def _links(origin: str) -> Sequence[Link]:
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": origin}
    # An empty context, lest the caller's own span stand in for an origin that cannot be read.
    found = TraceContextTextMapPropagator().extract(carrier, context.Context())
    target = trace.get_current_span(found).get_span_context()
    return [trace.Link(target)] if target.is_valid else []


# ------------------------------------------------------------------------------ metrics


def _count(
    subject: Subject, started: Started, outcome: str | None, error: BaseException | None
) -> None:
    signals = live()
    result = {} if outcome is None else {OUTCOME: outcome}
    about = {**plain_extras(subject), **labels(subject), **result, **failure(error)}
    signals.outcomes.add(1, about)
    signals.duration.record(time.perf_counter() - started.clock, about)
