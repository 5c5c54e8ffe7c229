"""A real browser without a window, told what to do over a pipe."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

__all__ = ["Browser", "browser", "installed"]

DEADLINE = 20.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which a container has no rights for
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)


class Browser:
    """One page of a browser, by the DevTools protocol: JSON documents that end with NUL."""

    def __init__(self, orders: IO[bytes], reports: IO[bytes]) -> None:
        """Open a page with nothing on it."""
        self._orders, self._reports = orders, reports
        self._count = 0
        self._session: dict[str, str] = {}
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def open(self, url: str) -> Self:
        """Go to an address."""
        self._ask("Page.navigate", url=url)
        return self

    def reload(self) -> None:
        """Reload the page, as a user does who is out of patience."""
        self._ask("Page.reload")

    def wait(self, expression: str) -> Any:
        """Return what an expression comes to once that is true, or None if it never is."""
        over = time.monotonic() + DEADLINE
        looks = iter(lambda: time.monotonic() < over, False)
        return next(filter(None, (self._look(expression) for _ in looks)), None)

    def _look(self, expression: str) -> Any:
        time.sleep(0.01)
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        # On a page that is just being left there is an exception, or nothing at all.
        return None if "exceptionDetails" in found else found.get("result", {}).get("value")

    def _ask(self, method: str, **params: object) -> Any:
        self._count += 1
        order = {"id": self._count, "method": method, "params": params, **self._session}
        self._orders.write(json.dumps(order).encode() + b"\0")
        self._orders.flush()
        return next(
            report.get("result", {})
            for report in iter(self._report, None)
            if report.get("id") == self._count
        )

    def _report(self) -> Any:
        text = b"".join(iter(lambda: self._reports.read(1), b"\0"))
        return json.loads(text)


def installed() -> str | None:
    """Return the path of a browser, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own, and end it after the block.

    Raises:
        FileNotFoundError: No Chromium is installed.
    """
    program = installed() or NAMES[0]
    # The browser reads its fourth file and writes its fifth.
    shell = ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null', "sh"]
    with subprocess.Popen(
        [*shell, program, *FLAGS, f"--user-data-dir={profile}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Browser(process.stdin, process.stdout)
        finally:
            process.terminate()
