"""What spans and metrics say about a call: the names of attributes, and who may set which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, ParamSpec

from .harmless import harmless, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.util.types import AttributeValue

Arguments = ParamSpec("Arguments")

OPERATION: Final = "idemkit.operation.name"
OUTCOME: Final = "idemkit.outcome"
RECORDED: Final = "idemkit.outcome.recorded"
STORE: Final = "idemkit.store.name"
VERB: Final = "idemkit.store.operation"
KEY_HASH: Final = "idemkit.key.hash"
ATTEMPT: Final = "idemkit.attempt"
WAITED: Final = "idemkit.wait.duration"
CHUNKS: Final = "idemkit.stream.chunks"
SIZE: Final = "idemkit.stream.size"
FIRST_CHUNK: Final = "idemkit.stream.first_chunk.duration"
READERS: Final = "idemkit.stream.readers"
MODEL: Final = "idemkit.model"
TOKENS: Final = "idemkit.token.type"
CURRENCY: Final = "idemkit.currency"
ERROR: Final = "error.type"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a signal is about.

    Args:
        operation: Stable name of the operation.
        store: Name of the store, such as ``"redis"``.
        address: Digest of the key; the raw key never gets here.
        attributes: What the user adds; names of this package's own are ignored.
    """

    operation: str
    store: str
    address: str
    attributes: Mapping[str, AttributeValue] | None = None


def attributes_from(
    hook: Callable[Arguments, Mapping[str, AttributeValue] | None],
    /,
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Mapping[str, AttributeValue] | None:
    """Return what a user's hook says about a call, or None where the hook fails."""
    with harmless:
        return hook(*args, **kwargs)
    return None


def labels(subject: Subject) -> dict[str, AttributeValue]:
    """Return what every signal of a call carries."""
    return {OPERATION: subject.operation, STORE: subject.store}


def extras(subject: Subject) -> dict[str, AttributeValue]:
    """Return what the user adds, without the names that are not the user's to set."""
    with harmless:
        return {
            name: value
            for name, value in (subject.attributes or {}).items()
            if not name.startswith("idemkit.") and name != ERROR
        }
    return {}


def plain_extras(subject: Subject) -> dict[str, AttributeValue]:
    """Return what of it suits a metric, which has one series per combination of values."""
    return {
        name: value
        for name, value in extras(subject).items()
        if isinstance(value, str | bool | int | float)
    }


def failure(error: BaseException | None) -> dict[str, AttributeValue]:
    """Return what a failed signal carries beside the rest; an error's message may be payload."""
    return {} if error is None else {ERROR: type_name(error)}
