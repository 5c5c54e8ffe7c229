"""The queue's example imports each invoice once, on a real server."""

import pytest

from examples import queue_consumer
from tests.servers import running, valkey_binary


def test_each_invoice_is_imported_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a producer that sends twice nor a consumer that dies makes a second line."""
    with running(valkey_binary()) as server:
        ledger = queue_consumer.main(f"{server.url}/0")
        left = server.do("XPENDING", queue_consumer.STREAM, queue_consumer.GROUP)
    told = capsys.readouterr().out.splitlines()
    assert (["A-1 10.00", "A-2 20.00", "A-3 30.00"], 0) == (ledger, left["pending"])
    assert [
        "anna: A-1 is on line 1 (executed)",
        "anna: A-2 is on line 2 (executed)",
        "anna: A-2 is on line 2 (replayed)",
        "ben: A-1 is on line 1 (replayed)",
        "ben: A-2 is on line 2 (replayed)",
        "ben: A-2 is on line 2 (replayed)",
        "ben: A-3 is on line 3 (executed)",
    ] == told
