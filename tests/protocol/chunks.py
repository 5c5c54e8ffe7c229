"""The part of the ledger that judges sequences: what was appended, and what readers were given.

* A sequence is what its owner has appended, each chunk once, in order, without a gap; it belongs
  to that owner alone, and is gone when another one comes, or the store forgets.
* It is recorded as a sequence if, and only if, all of it is there.
* Whoever is asked to stop hears of it with every beat and append, until it has settled.
* A reader is given the chunks of one owner, in order, from the first; never those of two.
"""

from dataclasses import dataclass, field

from idemkit.protocol import (
    Append,
    Beat,
    Completion,
    Kind,
    Page,
    Recorded,
    Situation,
    Standing,
    Step,
)


def chunk(token: bytes, number: int) -> bytes:
    """Return what a call appends under this number, however often it does."""
    return b"%b/%d" % (token, number)


@dataclass
class Chunks:
    """What has become of the present sequence.

    Args:
        written: The chunks that the latest owner has appended.
        asked: Whether it was asked to stop.
        epoch: Whose chunks the reader follows; 0 until it knows.
        seen: Those that it was given.
    """

    written: list[bytes] = field(default_factory=list)
    asked: bool = False
    epoch: int = 0
    seen: list[bytes] = field(default_factory=list)

    def dropped(self) -> None:
        """Note that nothing is left of the sequence and of what its owner was asked."""
        self.written, self.asked = [], False

    def follow(self) -> None:
        """Let the reader begin anew."""
        self.epoch, self.seen = 0, []

    def told(self, command: Beat | Step | Append | Completion, standing: Standing) -> None:
        """Judge what an owner was told that wrote well."""
        if isinstance(command, Append):
            gap = command.first > len(self.written) + 1
            assert gap == (standing is Standing.GAP), "a gap was not told, or was none"
            if not gap:
                self.written[command.first - 1 : command.last] = command.chunks
        if isinstance(command, Beat | Append) and standing in (Standing.HELD, Standing.CANCELLED):
            assert self.asked == (standing is Standing.CANCELLED), "a request was not heard"

    def completed(self, command: Completion, recorded: Recorded) -> None:
        """Judge what was recorded of a sequence, or of anything else."""
        whole = command.kind is not Kind.SEQUENCE or command.length == len(self.written)
        expected = (command.kind, command.body) if whole else (Kind.INCOMPLETE, b"")
        assert expected == (recorded.kind, recorded.body), "an outcome is not what was sent"
        self.asked = False
        if recorded.kind is not Kind.SEQUENCE:
            self.dropped()

    def read(self, page: Page, chunks: list[bytes]) -> None:
        """Judge what a reader was given, who had those that it has seen."""
        assert page.length == len(self.written), "a reader was told another length"
        running = page.situation is Situation.RUNNING
        assert running == (page.left > 0), "a reader waits for a lease that is over"
        if self.epoch not in (0, page.epoch):
            self.follow()
            return
        self.epoch = page.epoch
        self.seen += chunks
        token = self.seen[0].partition(b"/")[0] if self.seen else b""
        right = [chunk(token, number) for number in range(1, len(self.seen) + 1)]
        assert right == self.seen, "a reader was given chunks that do not belong together"
