"""What breaks in fastapi-idempotency 0.1.1 where it concerns functions, and not here."""

from idemkit.testing.faults import reply_lost, request_lost
from tests.gauntlet.scene import Scene


def test_store_error_in_a_beat_does_not_turn_success_into_failure(scene: Scene) -> None:
    """The value reaches its caller, and the retry replays it instead of running again."""
    store, runs = scene.faulty(), []
    store.suffer("beat", request_lost, request_lost)

    @scene.application(store).idempotent(lease=1)
    def work() -> str:
        runs.append("run")
        store.until("beat", 3, ended=True)
        return "done"

    assert (["done", "done"], ["run"]) == ([work(), work()], runs)


def test_lost_reply_to_a_beat_does_not_turn_success_into_failure(scene: Scene) -> None:
    """Nor does a beat that took effect unheard."""
    store, runs = scene.faulty(), []
    store.suffer("beat", reply_lost, reply_lost)

    @scene.application(store).idempotent(lease=1)
    def work() -> str:
        runs.append("run")
        store.until("beat", 3, ended=True)
        return "done"

    assert (["done", "done"], ["run"]) == ([work(), work()], runs)
