"""The nightly script, repeated, overlapping and killed as a real process."""

import signal
import subprocess
from datetime import date
from pathlib import Path

import pytest

from examples.nightly_cron import send_report
from tests.examples.programs import DEADLINE, run, started
from tests.servers import wait_until

SCRIPT = "nightly_cron.py"
DAY, NEXT_DAY = "2026-02-28", "2026-03-01"
SENT, REFUSED, RUNNING, INTERRUPTED = 0, 2, 75, 130
ETERNITY = "3600"


def tonight(folder: Path, day: str = DAY) -> tuple[int, str, str]:
    """Run the script to its end, which is near."""
    return run(SCRIPT, "--date", day, "--seconds", "0", folder=folder)


def stopped_midway(folder: Path, ending: signal.Signals) -> int:
    """Stop a run that is writing its report, and return its exit code."""
    with started(SCRIPT, "--date", DAY, "--seconds", ETERNITY, folder=folder) as process:
        wait_for_begin(process)
        process.send_signal(ending)
        process.communicate(timeout=DEADLINE)
        return process.returncode


def wait_for_begin(process: subprocess.Popen[str]) -> None:
    """Return when a run has the claim."""
    assert process.stdout is not None
    assert f"writing the report of {DAY} ...\n" == process.stdout.readline()


def outbox(folder: Path) -> list[str]:
    """Return the mails sent."""
    mails = folder / "outbox.log"
    return mails.read_text("utf-8").splitlines() if mails.exists() else []


def test_report_is_sent(tmp_path: Path) -> None:
    """A first run sends the mail, and shows it."""
    code, output, complaints = tonight(tmp_path)
    (mail,) = outbox(tmp_path)
    assert (SENT, f"writing the report of {DAY} ...\nsent: {mail}\n", "") == (
        code,
        output,
        complaints,
    )


def test_second_run_sends_nothing(tmp_path: Path) -> None:
    """A run on the same day shows the mail that was sent, and is content."""
    tonight(tmp_path)
    code, output, _ = tonight(tmp_path)
    (mail,) = outbox(tmp_path)
    assert (SENT, f"sent before, nothing to do: {mail}\n") == (code, output)


def test_next_day_has_a_report_of_its_own(tmp_path: Path) -> None:
    """The day is the key."""
    tonight(tmp_path)
    tonight(tmp_path, NEXT_DAY)
    assert [True, True] == [
        f"Report of {day}" in mail
        for day, mail in zip((DAY, NEXT_DAY), outbox(tmp_path), strict=True)
    ]


def test_overlapping_run_leaves_at_once(tmp_path: Path) -> None:
    """While one run is at it, another says so and leaves with EX_TEMPFAIL."""
    with started(SCRIPT, "--date", DAY, "--seconds", ETERNITY, folder=tmp_path) as process:
        wait_for_begin(process)
        code, output, complaints = tonight(tmp_path)
    assert (RUNNING, "", []) == (code, output, outbox(tmp_path))
    assert f"another run, or one that was killed less than 2 s ago, has the report of {DAY}" in (
        complaints
    )


def test_crowd_sends_one_mail(tmp_path: Path) -> None:
    """Of runs started at the same time one sends, and none fails."""
    with (
        started(SCRIPT, "--date", DAY, "--seconds", "0.3", folder=tmp_path) as one,
        started(SCRIPT, "--date", DAY, "--seconds", "0.3", folder=tmp_path) as other,
    ):
        for process in (one, other):
            process.communicate(timeout=DEADLINE)
    assert ({one.returncode, other.returncode} - {RUNNING}, 1) == ({SENT}, len(outbox(tmp_path)))


def test_interrupted_run_frees_the_day(tmp_path: Path) -> None:
    """After Ctrl-C the next run sends at once."""
    assert INTERRUPTED == stopped_midway(tmp_path, signal.SIGINT)
    assert (SENT, 1) == (tonight(tmp_path)[0], len(outbox(tmp_path)))


@pytest.mark.slow
@pytest.mark.parametrize("sent", [False, True])
def test_killed_run_is_made_up_for(tmp_path: Path, sent: bool) -> None:
    """After a kill and a lease the next run looks up whether the mail went out."""
    assert -signal.SIGKILL == stopped_midway(tmp_path, signal.SIGKILL)
    key = send_report.key(date.fromisoformat(DAY), 0)
    (tmp_path / "outbox.log").write_text(f"<{key}> by the one killed\n" * sent, encoding="utf-8")
    wait_until(lambda: SENT == tonight(tmp_path)[0])
    (mail,) = outbox(tmp_path)
    assert sent == ("by the one killed" in mail)


def test_script_says_why_it_cannot_begin(tmp_path: Path) -> None:
    """One line says what is wrong with the store, and nothing is sent."""
    code, _, complaints = run(SCRIPT, "--store", "sqlite:///nowhere/records.db", folder=tmp_path)
    assert (REFUSED, 1, []) == (code, complaints.count("\n"), outbox(tmp_path))
    assert "its folder must exist" in complaints
