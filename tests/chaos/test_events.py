"""Logs: what is written is read again, and what was torn is not."""

from pathlib import Path

from tests.chaos.events import Event, Scribe, read


def test_events_are_read_again(tmp_path: Path) -> None:
    """What was noted is in the log."""
    scribe = Scribe(tmp_path, "A")
    scribe.note("got", at=1.5, key="k", recorded=False)
    scribe.close()
    assert [Event("got", "A", 1.5, key="k", recorded=False)] == list(read(tmp_path))


def test_torn_line_is_ignored(tmp_path: Path) -> None:
    """A last line that came not to its end is none."""
    (tmp_path / "A.log").write_bytes(b'{"kind":"bye","who":"A","at":1.0}\n{"kind":"he')
    assert [Event("bye", "A", 1.0)] == list(read(tmp_path))


def test_logs_of_a_slot(tmp_path: Path) -> None:
    """A pattern chooses whose logs are read."""
    for who in ("1.0", "1.1", "2.0"):
        scribe = Scribe(tmp_path, who)
        scribe.note("hello")
        scribe.close()
    assert ["1.0", "1.1"] == [event.who for event in read(tmp_path, "1.*")]
