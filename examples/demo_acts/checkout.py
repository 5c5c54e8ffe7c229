"""The orders of act 5: each is placed by a process that is killed, and then by one that lives."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from subprocess import Popen
from threading import Event
from types import MappingProxyType

from .partners import CHARGE, LOOK_UP, MAIL, Partners
from .processes import started
from .stage import Stage

__all__ = ["DEATHS", "Checkout", "Fate", "promises"]

LETTER = "letter"
# Seconds between two looks at whether a process that is to be killed has died by itself.
LOOK = 0.05

DEATHS: Mapping[str, str] = MappingProxyType(
    {
        f"after {CHARGE}": (
            "Killed before the receipt came: the journal says that a charge was begun.\n"
            "So it is in doubt, and reconcile=look_up gets the receipt from the provider."
        ),
        f"before {MAIL}": (
            "Killed after the receipt came: the journal has it, and the charge is skipped."
        ),
    }
)
"""When the first process of an order is killed, and what that means to the second one."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What was done for one order, by the model and by the partners.

    Args:
        died: For the process that was killed.
        rerun: For the one after it.
    """

    died: tuple[str, ...]
    rerun: tuple[str, ...]

    @property
    def skipped(self) -> tuple[str, ...]:
        """Return what was not done again."""
        return tuple(done for done in self.died if done not in self.rerun)

    def count(self, what: str) -> int:
        """Return how often something was done for both processes together."""
        return (self.died + self.rerun).count(what)


class Checkout:
    """All orders, without idemkit or with it.

    Attributes:
        fates: What became of them, when they are placed.
    """

    def __init__(self, stage: Stage, partners: Partners, *, guarded: bool) -> None:
        """Place nothing yet."""
        self.fates: list[Fate] = []
        self._stage = stage
        self._partners = partners
        self._how = ["--namespace", stage.idem.namespace] if guarded else []
        self._letters: list[str] = []

    def place_all(self) -> list[str]:
        """Place all orders, and return the letters."""
        # First all that die: so their leases run out together.
        orders = {f"Order {number}": moment for number, moment in enumerate(DEATHS, start=1)}
        died = [self.attempt(order, killed=moment) for order, moment in orders.items()]
        reruns = [self.attempt(order) for order in orders]
        self.fates = [Fate(*both) for both in zip(died, reruns, strict=True)]
        return self._letters

    def attempt(self, order: str, *, killed: str = "") -> tuple[str, ...]:
        """Let a process place an order; return what was done for it.

        Args:
            order: Its name.
            killed: The moment at which the process is killed; empty: it lives.

        Raises:
            RuntimeError: It died of something else.
        """
        entries, inferences = len(self._partners.log), self._stage.llm.stats().inferences
        moment = self._partners.await_moment(killed)
        with started("--order", order, *self._how, store=self._stage.lasting_store) as worker:
            if killed:
                _kill(worker, moment)
            output, _ = worker.communicate()
        as_told = moment.is_set() if killed else worker.returncode == 0
        if not as_told:
            message = f"the process of {order} left with {worker.returncode}"
            raise RuntimeError(message)
        self._letters += map(json.loads, output.splitlines())
        inferred = self._stage.llm.stats().inferences - inferences
        return (LETTER,) * inferred + tuple(self._partners.log[entries:])


def _kill(worker: Popen[str], moment: Event) -> None:
    while worker.poll() is None and not moment.wait(LOOK):
        pass
    worker.kill()


def promises(plain: Sequence[Fate], guarded: Sequence[Fate]) -> dict[str, bool]:
    """Return what the books must say, and whether they do."""
    twice, charges = ([fate.count(CHARGE) for fate in fates] for fates in (plain, guarded))
    mails, look_ups = ([fate.count(what) for fate in guarded] for what in (MAIL, LOOK_UP))
    return {
        f"1 charge per order, not {charges}": charges == [1, 1],
        f"1 mail per order, not {mails}": mails == [1, 1],
        f"1 look-up, for the charge in doubt, not {look_ups}": look_ups == [1, 0],
        f"without idemkit 2 charges per order, not {twice}": twice == [2, 2],
    }
