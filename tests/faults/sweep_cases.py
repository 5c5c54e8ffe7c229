"""Where a process can die amid a call with effects, and what the next attempt is to do about it."""

from typing import Final, NamedTuple

__all__ = [
    "EFFECTS",
    "ROWS",
    "WRECKS",
    "Case",
    "Fate",
    "Row",
    "Wreck",
    "ending_of",
    "fates_of",
]

EFFECTS: Final = ("pick", "charge", "mail")
"""A step, a side effect that must not happen twice, and a callback, in the order of the call."""


class Fate(NamedTuple):
    """What the next attempt does about an effect.

    Args:
        words: In the words of the manual.
        before: How often it has happened when the process dies.
        after: How often when the next attempt is over.
    """

    words: str
    before: int
    after: int


TAKES: Final = Fate("takes it", 0, 1)
AGAIN: Final = Fate("**takes it again**", 1, 2)
GOES_ON: Final = Fate("goes on after it", 1, 1)
STOPS_BEFORE: Final = Fate("is in doubt; it has not happened", 0, 0)
STOPS_AFTER: Final = Fate("is in doubt; it has happened", 1, 1)
REPLAYS: Final = Fate("replays", 1, 1)
NOWHERE: Final = Fate("–", 0, 0)  # noqa: RUF001 - no such point
LEFT: Final = Fate("comes to its end before it", 0, 0)


class Row(NamedTuple):
    """What a next attempt does, if a process dies at a point.

    Args:
        pick: About a step.
        charge: About a side effect that must not happen twice.
        mail: About a callback.
        careful: What becomes of the call if its owner must not be replaced.
    """

    pick: Fate
    charge: Fate
    mail: Fate
    careful: str


ROWS: Final = {
    "before_claim": Row(TAKES, TAKES, TAKES, "runs"),
    "before_wait": Row(TAKES, TAKES, TAKES, "runs"),
    "after_claim_before_body": Row(TAKES, TAKES, TAKES, "is in doubt"),
    "before_step": Row(TAKES, TAKES, TAKES, "is in doubt"),
    "after_intent_before_step": Row(NOWHERE, STOPS_BEFORE, NOWHERE, "is in doubt"),
    "after_step_before_result": Row(AGAIN, STOPS_AFTER, AGAIN, "is in doubt"),
    "after_result_before_return": Row(GOES_ON, GOES_ON, GOES_ON, "is in doubt"),
    "after_effect_before_complete": Row(GOES_ON, GOES_ON, GOES_ON, "is in doubt"),
    "after_complete_before_return": Row(REPLAYS, REPLAYS, REPLAYS, "replays"),
    "after_failure_before_release": Row(AGAIN, STOPS_AFTER, AGAIN, "is in doubt"),
    "after_release_before_raise": Row(AGAIN, STOPS_AFTER, AGAIN, "runs"),
    "after_loss_before_claim": Row(REPLAYS, REPLAYS, REPLAYS, "replays"),
}
"""The manual's table, by the names of the points."""

STEPS: Final = ("before_step", "after_step_before_result", "after_result_before_return")
FAILURES: Final = ("after_failure_before_release", "after_release_before_raise")
KINDS: Final = {"runs": "executed", "is in doubt": "recovered", "replays": "replayed"}


class Case(NamedTuple):
    """Where a process dies.

    Args:
        point: The name of the point.
        effect: The one that is on its way then, or has raised; None where it is none of them.
    """

    point: str
    effect: str | None

    def __str__(self) -> str:
        return self.point if self.effect is None else f"{self.point} of {self.effect}"

    @property
    def nth(self) -> int:
        """How often the point is passed until then."""
        return EFFECTS.index(self.effect) + 1 if self.effect and self.point in STEPS else 1

    @property
    def failing(self) -> str | None:
        """Return the effect that has to raise for a process to come there."""
        return self.effect if self.point in FAILURES else None

    @property
    def doubtful(self) -> bool:
        """Whether nobody knows what has become of an effect."""
        return any(fate in (STOPS_BEFORE, STOPS_AFTER) for fate in fates_of(self))


def _cases() -> list[Case]:
    cases = []
    for point, row in ROWS.items():
        at_effects = point in (*STEPS, *FAILURES, "after_intent_before_step")
        effects = [name for name in EFFECTS if getattr(row, name) is not NOWHERE]
        cases += [Case(point, effect) for effect in (effects if at_effects else [None])]
    return cases


def fates_of(case: Case) -> list[Fate]:
    """Return what a next attempt does about each effect."""
    row = ROWS[case.point]
    if case.effect is None:
        return [row.pick, row.charge, row.mail]
    place = EFFECTS.index(case.effect)
    fate: Fate = getattr(row, case.effect)
    later = LEFT if fate in (STOPS_BEFORE, STOPS_AFTER) else TAKES
    return [GOES_ON] * place + [fate] + [later] * (len(EFFECTS) - place - 1)


def ending_of(case: Case) -> tuple[str, object]:
    """Return how a next attempt ends: the kind of its outcome, and who did what."""
    if case.doubtful:
        return "in doubt", "charge#0"
    pick, charge, _ = fates_of(case)
    kind = KINDS[ROWS[case.point].careful]
    return kind, [f"pick by {_doer(pick)}", f"charge by {_doer(charge)}"]


def _doer(fate: Fate) -> str:
    return "the next" if fate in (TAKES, AGAIN) else "the first"


class Wreck(NamedTuple):
    """A process that dies, and what is to become of its call.

    Args:
        case: Where it dies.
        colour: Of the call.
        then: What is done about it, by one word.
    """

    case: Case
    colour: str
    then: str

    def __str__(self) -> str:
        return f"{self.colour}, {self.case}"

    @property
    def order(self) -> str:
        """Return what is ordered, which is the call's key."""
        return f"{self}, {self.then}"


def _wrecks() -> list[Wreck]:
    wrecks = []
    for case in _cases():
        ways = ["retry", "raise"]
        ways += ["ask", "resolve"] if case.doubtful else []
        ways += ["tell"] if ROWS[case.point].careful == "is in doubt" else []
        wrecks += [Wreck(case, "sync", then) for then in ways]
        wrecks.append(Wreck(case, "async", "retry"))
    return wrecks


WRECKS: Final = _wrecks()
