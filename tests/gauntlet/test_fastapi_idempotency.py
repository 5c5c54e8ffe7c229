"""What breaks in fastapi-idempotency 0.1.1 where it concerns functions, and not here."""

from tests.gauntlet.disturbances import Plan
from tests.gauntlet.places import Place


def test_store_error_in_a_beat_does_not_turn_success_into_failure(place: Place) -> None:
    """The value reaches its caller, and the retry replays it instead of running again."""
    plan, runs = Plan(), []
    plan.lose_requests("beat", 2)

    @place.application(plan).idempotent(lease=1)
    def work() -> str:
        runs.append("run")
        plan.until("beat", 3)
        return "done"

    assert (["done", "done"], ["run"]) == ([work(), work()], runs)


def test_lost_reply_to_a_beat_does_not_turn_success_into_failure(place: Place) -> None:
    """Nor does a beat that took effect unheard."""
    plan, runs = Plan(), []
    plan.lose_replies("beat", 2)

    @place.application(plan).idempotent(lease=1)
    def work() -> str:
        runs.append("run")
        plan.until("beat", 3)
        return "done"

    assert (["done", "done"], ["run"]) == ([work(), work()], runs)
