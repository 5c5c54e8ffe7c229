"""What type checkers refuse; each ignored line is a mistake that they must go on seeing."""

from typing import TYPE_CHECKING

from idemkit import Idempotency, configure, idempotent, side_effect, step

idem = Idempotency("memory://", namespace="typing")


@idem.idempotent
def answer(prompt: str, *, size: int = 1) -> str:
    """Stand for any function."""
    return prompt * size


if TYPE_CHECKING:
    answer()  # type: ignore[call-arg]  # ty: ignore[missing-argument]
    answer(1)  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    answer("x", size="large")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    answer("x", length=1)  # type: ignore[call-arg]  # ty: ignore[unknown-argument]
    answer.key(1)  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    answer.outcome("x", 2)  # type: ignore[call-arg]  # ty: ignore[too-many-positional-arguments]
    answer.peek()  # type: ignore[call-arg]  # ty: ignore[missing-argument]
    answer.forget("x", length=1)  # type: ignore[call-arg]  # ty: ignore[unknown-argument]
    answer.map([1])  # type: ignore[list-item]  # ty: ignore[invalid-argument-type]
    answer.map(["x"], on_error="ignore")  # type: ignore[call-overload]  # ty: ignore[no-matching-overload]
    answer.map(["x"], workers=3)  # type: ignore[call-overload]  # ty: ignore[no-matching-overload]
    number: int = answer("x")  # type: ignore[assignment]  # ty: ignore[invalid-assignment]
    answer.outcome("x").value.bit_length()  # type: ignore[attr-defined]  # ty: ignore[missing-attribute]
    idempotent(tll=60)  # type: ignore[call-overload]
    idempotent(ttl="60")  # type: ignore[call-overload]  # ty: ignore[invalid-argument-type]
    idempotent(on_duplicate="ignore")  # type: ignore[call-overload]  # ty: ignore[invalid-argument-type]
    idempotent(record_errors=ValueError)  # type: ignore[call-overload]  # ty: ignore[invalid-argument-type]
    idempotent(60)  # type: ignore[call-overload]  # ty: ignore[no-matching-overload]
    idem.idempotent(tll=60)  # type: ignore[call-overload]
    idem.idempotent(version=1.5)  # type: ignore[call-overload]  # ty: ignore[invalid-argument-type]
    idem.idempotent(durability="hoped")  # type: ignore[call-overload]  # ty: ignore[invalid-argument-type]
    idem.operation("pay")  # type: ignore[call-arg]  # ty: ignore[missing-argument]
    idem.operation("pay", 5)  # type: ignore[call-arg]  # ty: ignore[missing-argument, too-many-positional-arguments]
    idem.operation("pay", key=5, tll=60)  # type: ignore[call-arg]
    idem.operation("pay", key=5, fallback=print)  # type: ignore[call-arg]
    idem.operation("pay", key=5, on_duplicate="ignore")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    idem.operation(5, key=5)  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    idem.resolve(5, "found")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    Idempotency(store=5)  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    Idempotency("memory://", "namespace")  # type: ignore[call-arg]  # ty: ignore[too-many-positional-arguments]
    Idempotency(on_abandoned="ignore")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    Idempotency(timeout=5)  # type: ignore[call-arg]  # ty: ignore[unknown-argument]
    configure(timeout=5)  # type: ignore[call-arg]  # ty: ignore[unknown-argument]
    configure(ttl="5")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    step(len, "abc")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    step("embed", "abc")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    step("embed")  # type: ignore[call-arg]  # ty: ignore[missing-argument]
    count: str = step("embed", len, "abc")  # type: ignore[assignment]  # ty: ignore[invalid-assignment]
    step("embed", len, "abc", delivery="once")  # type: ignore[arg-type]  # ty: ignore[invalid-argument-type]
    side_effect(delivery="once")  # type: ignore[call-overload]  # ty: ignore[invalid-argument-type]
    side_effect(5)  # type: ignore[call-overload]  # ty: ignore[invalid-argument-type]
