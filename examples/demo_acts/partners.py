"""The partners of act 5, a payment provider and a mail service: they keep books, and can wait.

Both charge and mail whoever asks, as often as they are asked.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Event, Thread
from typing import Any

__all__ = ["CHARGE", "LOOK_UP", "MAIL", "Partners", "serving"]

CHARGE, LOOK_UP, MAIL = "charge", "look-up", "mail"
# Seconds between two looks at whether to stop: what stopping costs at most.
STOP_CHECK = 0.02


class Partners:
    """The books of both.

    Attributes:
        log: What was done for anybody, in order.
    """

    def __init__(self) -> None:
        """Begin with empty books."""
        self.log: list[str] = []
        self._receipts: dict[str, str] = {}
        self._moment = ""
        self._come = Event()

    def await_moment(self, moment: str) -> Event:
        """Return what is set when this moment has come, at which whoever asked gets no answer.

        Args:
            moment: "before" or "after", and a request: "before mail". Empty: it never comes.
        """
        self._moment, self._come = moment, Event()
        return self._come

    def is_it(self, moment: str) -> bool:
        """Whether that moment has come; those who await it are told."""
        if moment == self._moment:
            self._come.set()
        return moment == self._moment

    def answer(self, request: str, reference: str) -> str | None:
        """Do what is asked for, and return the receipt, if there is one by this reference."""
        self.log.append(request)
        if request == CHARGE:
            self._receipts[reference] = f"receipt {len(self._receipts) + 1}"
        return self._receipts.get(reference)


class _Line(BaseHTTPRequestHandler):
    """A connection to a partner, for one request."""

    def __init__(self, *arguments: Any, partners: Partners) -> None:
        self._partners = partners
        super().__init__(*arguments)

    def do_POST(self) -> None:
        """Answer, unless it is the moment in which the other side is going to die."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = self.path.removeprefix("/")
        if self._dead(f"before {request}"):
            return
        answer = self._partners.answer(request, body["reference"])
        if self._dead(f"after {request}"):
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _dead(self, moment: str) -> bool:
        come = self._partners.is_it(moment)
        if come:
            # Until nobody is there any more: the end of what a dead process had to say.
            self.rfile.read(1)
        return come


@contextmanager
def serving() -> Iterator[tuple[Partners, str]]:
    """Serve both partners on a free port, inside a `with` block; return them and their URL."""
    partners = Partners()
    # Not an HTTPServer: it asks the resolver for a name, which can take seconds.
    with ThreadingTCPServer(("127.0.0.1", 0), partial(_Line, partners=partners)) as server:
        thread = Thread(target=server.serve_forever, args=(STOP_CHECK,), daemon=True)
        thread.start()
        try:
            yield partners, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
