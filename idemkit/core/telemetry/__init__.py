"""What OpenTelemetry hears of guarded calls: spans, metrics and links from replays to originals.

Nothing happens until somebody configures a provider, which may come after decoration and after
the first calls; `active` is the one `if` that everybody else pays. Nothing here raises into a
call: a broken exporter costs its signals, no more.
"""

from .attributes import Subject, attributes_from
from .discovery import active
from .observed_store import store_observed
from .operations import (
    Observed,
    Reading,
    Started,
    executing,
    lease_lost,
    refused,
    replayed,
    started,
)
from .savings import saved

__all__ = [
    "Observed",
    "Reading",
    "Started",
    "Subject",
    "active",
    "attributes_from",
    "executing",
    "lease_lost",
    "refused",
    "replayed",
    "saved",
    "started",
    "store_observed",
]
