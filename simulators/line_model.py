"""A serial line with its slaves on a pty: bytes take their time, and every frame is written down.

Requests reach the slaves when their last bit has passed; answers come in small pieces, as from a
UART's buffer.  Who talks while another does spoils both.  `violations` finds in the log what a
real line would not have stood.
"""

import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType

PIECE = 8  # characters a UART hands over at once
IDLE_S = 0.05
REQUEST_LENGTH = 8
SPOILED = 0x55
MASTER = "master"


@dataclass(frozen=True, slots=True)
class Said:
    """What a slave says after a request, and when: seconds after the request's last bit.

    latest_s: not said at all after this instant (monotonic): a busy machine may be late itself
    """

    after_s: float
    frame: bytes
    who: str = "slave"
    latest_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class Talk:
    """One frame on the line, from its first bit to its last."""

    who: str
    start_s: float
    end_s: float
    frame: bytes


@dataclass(slots=True)
class _Speaking:
    said: Said
    start_s: float
    sent: int = 0
    is_spoiled: bool = False


Respond = Callable[[bytes], Sequence[Said]]


@dataclass(slots=True)
class LineModel:
    """The line's end for a master is `path`; `respond` speaks for all slaves.

    character_s: the time of one character; 0: none, and each frame comes whole
    """

    respond: Respond
    character_s: float = 0.0
    log: list[Talk] = field(default_factory=list)
    path: str = ""
    _near: int = -1
    _far: int = -1
    _asked: bytes = b""
    _asked_at_s: float = 0.0
    _waiting: list[tuple[float, Said]] = field(default_factory=list)
    _speaking: _Speaking | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "LineModel":
        """Open the pty and listen."""
        self._near, self._far = os.openpty()  # the far end stays open: no hang-up is seen
        tty.setraw(self._near)
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        self.path = os.ttyname(self._far)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening; a master that still has the port open sees it vanish."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        os.close(self._near)
        os.close(self._far)

    def _run(self) -> None:
        while not self._stop.is_set():
            now_s = time.monotonic()
            due_s = self._next_s(now_s)
            if select.select([self._near], [], [], max(due_s - now_s, 0.0))[0]:
                self._listen(os.read(self._near, 512), time.monotonic())
            self._speak(time.monotonic())

    def _next_s(self, now_s: float) -> float:
        speaking = self._speaking
        if speaking is not None:
            return self._piece_at_s(speaking)
        return min((due_s for due_s, _ in self._waiting), default=now_s + IDLE_S)

    def _piece_at_s(self, speaking: _Speaking) -> float:
        sent = min(speaking.sent + PIECE, len(speaking.said.frame))
        return speaking.start_s + sent * self.character_s

    def _listen(self, chunk: bytes, now_s: float) -> None:
        """Take bytes of the master; they are on the wire from now on."""
        if not self._asked:
            self._asked_at_s = now_s
        self._asked += chunk
        if len(self._asked) < REQUEST_LENGTH:
            return
        frame, self._asked = self._asked, b""
        end_s = self._asked_at_s + len(frame) * self.character_s
        self.log.append(Talk(MASTER, self._asked_at_s, end_s, frame))
        if self._speaking is not None:
            self._speaking.is_spoiled = True  # and nobody could hear the request
            return
        for said in self.respond(frame):
            self._waiting.append((end_s + said.after_s, said))
        self._waiting.sort(key=lambda w: w[0])

    def _speak(self, now_s: float) -> None:
        """Say what is due by now, one frame after the other."""
        while self._speaking is not None or (self._waiting and self._waiting[0][0] <= now_s):
            if self._speaking is None:
                _, said = self._waiting.pop(0)
                if time.monotonic() <= said.latest_s:
                    self._speaking = _Speaking(said, now_s)
                continue
            if self.character_s == 0:
                self._write(self._speaking, len(self._speaking.said.frame))
            elif self._piece_at_s(self._speaking) <= now_s:
                self._write(self._speaking, PIECE)
            else:
                return

    def _write(self, speaking: _Speaking, size: int) -> None:
        frame = speaking.said.frame
        piece = frame[speaking.sent : speaking.sent + size]
        if speaking.is_spoiled:
            piece = bytes(b ^ SPOILED for b in piece)
        speaking.sent += len(piece)
        if speaking.sent >= len(frame):
            end_s = time.monotonic()
            self.log.append(Talk(speaking.said.who, speaking.start_s, end_s, frame))
            self._speaking = None
        os.write(self._near, piece)


def violations(log: Iterable[Talk], silence_s: float) -> list[str]:
    """Give each pair of frames that overlap, and each request that came too soon."""
    out = []
    ordered = sorted(log, key=lambda t: t.start_s)
    for before, after in pairwise(ordered):
        gap_s = after.start_s - before.end_s
        if gap_s < 0:
            out.append(f"{after.who} began while {before.who} still talked")
        elif after.who == MASTER and gap_s < silence_s:
            out.append(f"{1000 * gap_s:.2f} ms of silence where {1000 * silence_s:.2f} are due")
    return out
