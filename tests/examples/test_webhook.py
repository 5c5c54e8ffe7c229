"""The webhook's example pays once, and tells its sender the same each time."""

import pytest

from examples.webhook import main


def test_event_is_paid_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The provider was asked twice, with one key, and the repetitions asked nobody."""
    provider = main()
    assert (2, 1) == (provider.requests, len(provider.payments))
    payment = "pay_1 over 10 for order-17"
    assert [
        "502 {'error': \"the provider's answer was lost\"}",
        f"200 {{'payment': '{payment}', 'how': 'executed'}}",
        f"200 {{'payment': '{payment}', 'how': 'replayed'}}",
        "422 {'error': 'KeyReusedError'}",
    ] == capsys.readouterr().out.splitlines()
