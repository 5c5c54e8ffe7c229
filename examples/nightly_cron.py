"""A script for cron that sends one report a day, however often and wherever it is started.

Run it from the project's root: `python examples/nightly_cron.py`; then again; then, with
`--date 2030-01-01 --seconds 30`, in two terminals at once. In a crontab:

    0 2,3,4 * * *  cd /srv/shop && python nightly_cron.py || [ $? -eq 75 ]

It exits with 0 when the report is sent, by this run or an earlier one, with 75 (EX_TEMPFAIL) while
another run is at it, with 2 if it could not begin, and with 130 after Ctrl-C.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from idemkit import Done, InProgressError, NotDone, StoreError, configure, idempotent

SENT, REFUSED, RUNNING, INTERRUPTED = 0, 2, 75, 130
LEASE = 2
OUTBOX = Path(os.environ.get("OUTBOX", "outbox.log"))
"""Stands in for a mail server: one line for each mail."""


def look_up(call: Any) -> Any:
    """Say whether a run that was killed had sent its report."""
    mails = OUTBOX.read_text(encoding="utf-8").splitlines() if OUTBOX.exists() else []
    sent = [mail for mail in mails if call.key in mail]
    return Done(sent[0]) if sent else NotDone


# The day is the key, so a run after midnight can still make up for the day before. A job that
# takes no such argument can say `window=timedelta(days=1)`, and goes by the clock in UTC.
@idempotent(
    name="daily report",
    ignore=["seconds"],
    on_duplicate="reject",
    on_abandoned=look_up,
    ttl=timedelta(days=31),
)
def send_report(day: date, seconds: float) -> str:
    """Write the report of a day, which takes a while, and send it; return the mail."""
    print(f"writing the report of {day} ...", flush=True)
    time.sleep(seconds)
    mail = f"<{send_report.key(day, seconds)}> Report of {day}, by process {os.getpid()}"
    with OUTBOX.open("a", encoding="utf-8") as outbox:
        outbox.write(f"{mail}\n")
    return mail


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the report unless that is done, and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        with configure(options.store, lease=LEASE):
            outcome = send_report.outcome(options.date, options.seconds)
    except InProgressError:
        who = f"another run, or one that was killed less than {LEASE} s ago"
        return leave(RUNNING, f"{who}, has the report of {options.date} in hand")
    except KeyboardInterrupt:
        return leave(INTERRUPTED, "stopped; the next run sends the report")
    except (ModuleNotFoundError, OSError, StoreError, ValueError) as error:
        return leave(REFUSED, str(error))
    what = "sent before, nothing to do" if outcome.kind == "replayed" else "sent"
    print(f"{what}: {outcome.value}")
    return SENT


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    described = argparse.ArgumentParser(
        prog="nightly_cron.py", description="Send the report of a day, once."
    )
    described.add_argument(
        "--date",
        type=day,
        default=datetime.now().astimezone().date(),
        help="such as 2026-02-28; default: today",
    )
    described.add_argument(
        "--store",
        default="sqlite:///nightly_cron.db",
        metavar="URL",
        help="where records are kept (sqlite:///nightly_cron.db)",
    )
    described.add_argument(
        "--seconds", type=float, default=2.0, help="how long the report takes to write (2)"
    )
    return described


def day(text: str) -> date:
    """Read a date."""
    return date.fromisoformat(text)


def leave(code: int, message: str) -> int:
    """Say why there is no report from this run, and return the exit code."""
    print(f"nightly_cron.py: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
