"""What type checkers refuse; each ignored line is a mistake that they must go on seeing."""

from typing import TYPE_CHECKING

from idemkit import Idempotency, idempotent

idem = Idempotency("memory://", namespace="typing")


@idem.idempotent
def answer(prompt: str, *, size: int = 1) -> str:
    """Stand for any function."""
    return prompt * size


if TYPE_CHECKING:
    answer()  # type: ignore[call-arg]
    answer(1)  # type: ignore[arg-type]
    answer("x", size="large")  # type: ignore[arg-type]
    answer("x", length=1)  # type: ignore[call-arg]
    answer.key(1)  # type: ignore[arg-type]
    answer.outcome("x", 2)  # type: ignore[call-arg]
    answer.peek()  # type: ignore[call-arg]
    answer.forget("x", length=1)  # type: ignore[call-arg]
    number: int = answer("x")  # type: ignore[assignment]
    answer.outcome("x").value.bit_length()  # type: ignore[attr-defined]
    idempotent(tll=60)  # type: ignore[call-overload]
    idempotent(ttl="60")  # type: ignore[call-overload]
    idempotent(on_duplicate="ignore")  # type: ignore[call-overload]
    idempotent(record_errors=ValueError)  # type: ignore[call-overload]
    idempotent(60)  # type: ignore[call-overload]
    idem.idempotent(tll=60)  # type: ignore[call-overload]
    idem.idempotent(version=1.5)  # type: ignore[call-overload]
    idem.idempotent(durability="hoped")  # type: ignore[call-overload]
    Idempotency(store=5)  # type: ignore[arg-type]
    Idempotency("memory://", "namespace")  # type: ignore[misc]
    Idempotency(on_abandoned="ignore")  # type: ignore[arg-type]
    Idempotency(timeout=5)  # type: ignore[call-arg]
