"""How a user wants requests guarded on their way out, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...core.policy import OnDuplicate, chosen, seconds
from ..policy import Derive, check_hook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...core.policy import TTL, Duration
    from ...llm import Price, Request, Result

    Scope = Callable[[Request], str]

__all__ = ["Settings", "succeeded"]


def succeeded(status: int) -> bool:
    """Say whether an answer is a success; nothing else is kept."""
    return 200 <= status < 300  # noqa: PLR2004 - known to every reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `IdempotentTransport` takes beside a transport and an `Idempotency`.

    Args:
        ttl: Likewise.
        derive: Likewise.
        on_duplicate: Likewise.
        wait: Likewise.
        record: Likewise.
        timeout: Likewise.
        prices: Likewise.
        scope: Likewise.
        patience: `timeout` in seconds.
        wait_seconds: `wait` in seconds, or infinity.

    Raises:
        TypeError: A setting is of the wrong type.
        ValueError: A setting is out of range.
    """

    ttl: TTL | None
    derive: Derive | None
    on_duplicate: OnDuplicate
    wait: Duration | None
    record: Callable[[Result], bool] | None
    timeout: Duration
    prices: Mapping[str, Price]
    scope: Scope | None
    patience: float = field(init=False)
    wait_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        """Bring settings to the form in which they are used, and refuse what makes no sense."""
        chosen(self.on_duplicate, "on_duplicate", OnDuplicate)
        if self.derive is not None:
            chosen(self.derive, "derive", Derive)
        for hook, name in ((self.record, "record"), (self.scope, "scope")):
            if hook is not None:
                check_hook(hook, name)
        self._set("patience", seconds(self.timeout, "timeout"))
        wait = float("inf") if self.wait is None else seconds(self.wait, "wait")
        self._set("wait_seconds", wait)

    @property
    def of_engine(self) -> dict[str, Any]:
        """Those that the engine knows."""
        known: dict[str, Any] = {"on_duplicate": self.on_duplicate}
        return known if self.ttl is None else {**known, "ttl": self.ttl}

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
