"""The program of act 5: an order in four steps, of which one must never happen twice.

Outside a guarded call a step simply runs. So this is both the program without idemkit and the
one with it, and the guard around `place` is the difference.
"""

import os
import uuid
from typing import Any

from idemkit import Done, NotDone, current, side_effect, step

from . import app

__all__ = ["charge", "place"]


def look_up(_charge: object) -> object:
    """Find out what became of a charge in doubt: its provider knows it by our reference."""
    receipt = _ask("look-up", _reference())
    return NotDone if receipt is None else Done(receipt)


@side_effect(delivery="at_most_once", reconcile=look_up)
def charge(order: str) -> str:
    """Charge the customer's card, and return the provider's receipt."""
    receipt: str = _ask("charge", _reference(), order=order)
    return receipt


def place(order: str) -> str:
    """Place an order, and return the letter that goes with it."""
    letter = step("letter", app.complete, f"Say thanks for {order}.")
    receipt = charge(order)
    step("mail", mail, order, f"{letter}\n\n{receipt}")
    step("audit", app.audit, letter)
    return letter


def mail(order: str, text: str) -> None:
    """Mail a letter."""
    _ask("mail", order, text=text)


def _reference() -> str:
    """Return what the provider calls this charge; it is the same in every attempt, if guarded."""
    call = current()
    return uuid.uuid4().hex if call is None else call.idempotency_key_for("charge")


def _ask(what: str, reference: str, **details: str) -> Any:
    url = f"{os.environ['PARTNERS_URL']}/{what}"
    return app.post(url, {"reference": reference, **details})
