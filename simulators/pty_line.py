"""A serial line made of two ptys, with the time that bytes take on a real one."""

import os
import select
import threading
import time
import tty
from types import TracebackType

BITS_A_CHARACTER = 11
POLL_S = 0.2


class PtyLine:
    """Two ends, `device_end` and `master_end` (paths); bytes cross at the line's speed."""

    def __init__(self, baud: int = 9600) -> None:
        self._character_s = BITS_A_CHARACTER / baud
        self._fds: list[int] = []
        self._stop = threading.Event()
        self._a, self.device_end = self._pty()
        self._b, self.master_end = self._pty()
        self._pumps = [
            threading.Thread(target=self._pump, args=ends, daemon=True)
            for ends in ((self._a, self._b), (self._b, self._a))
        ]

    def __enter__(self) -> "PtyLine":
        """Start carrying bytes."""
        for pump in self._pumps:
            pump.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and close both ends."""
        self._stop.set()
        for pump in self._pumps:
            pump.join()
        for fd in self._fds:
            os.close(fd)

    def _pty(self) -> tuple[int, str]:
        near, far = os.openpty()
        tty.setraw(near)
        tty.setraw(far)
        self._fds += [near, far]  # the far end stays open, so that reads never see a hang-up
        return near, os.ttyname(far)

    def _pump(self, source: int, sink: int) -> None:
        while not self._stop.is_set():
            if select.select([source], [], [], POLL_S)[0]:
                chunk = os.read(source, 512)
                time.sleep(len(chunk) * self._character_s)
                os.write(sink, chunk)
