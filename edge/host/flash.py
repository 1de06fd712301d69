"""Flash: how much this process has had written to the card, and how much a day that makes.

A card dies of what is written to it.  `write_bytes` of /proc/self/io counts the pages this
process made the block layer write; the block device's own counter also has the file system's
journal and everybody else.
"""

import os
from collections import deque
from pathlib import Path

from edge.host.facts import ROOT, text_of

DAY_S = 86_400.0
LEAST_S = 600.0  # a rate over less says nothing
_APART_S = 600.0
_SECTOR, _SECTORS_WRITTEN = 512, 6


class Flash:
    """Counts what is written; the rate is over the last day, or since the start."""

    def __init__(self, outbox: Path, now_s: float, root: Path = ROOT) -> None:
        self._root, self._outbox = root, outbox
        self._seen: deque[tuple[float, float]] = deque()
        self.note(now_s)

    def note(self, now_s: float) -> None:
        """Take note of what has been written so far; call it now and then."""
        written = self._by_process()
        if written is None or (self._seen and now_s - self._seen[-1][0] < _APART_S):
            return
        self._seen.append((now_s, written))
        while len(self._seen) > 2 and now_s - self._seen[1][0] >= DAY_S:
            self._seen.popleft()

    def values(self) -> dict[str, float]:
        """Give the bytes written by this process and to the outbox's device, by measurand."""
        found = {
            "flash_written_bytes_total": self._by_process(),
            "flash_device_written_bytes_total": self._to_device(),
        }
        return {name: value for name, value in found.items() if value is not None}

    def mb_per_day(self, now_s: float) -> float | None:
        """Give the process's rate in 10^6 bytes a day; None in the first ten minutes."""
        written = self._by_process()
        if written is None or not self._seen:
            return None
        since_s, before = self._seen[0]
        past_s = now_s - since_s
        return None if past_s < LEAST_S else (written - before) / past_s * DAY_S / 1e6

    def _by_process(self) -> float | None:
        for line in (text_of(self._root / "proc/self/io") or "").splitlines():
            name, _, count = line.partition(":")
            if name == "write_bytes":
                return float(count)
        return None

    def _to_device(self) -> float | None:
        try:
            device = os.stat(self._outbox.parent).st_dev
        except OSError:
            return None
        place = f"sys/dev/block/{os.major(device)}:{os.minor(device)}/stat"
        words = (text_of(self._root / place) or "").split()
        return float(words[_SECTORS_WRITTEN]) * _SECTOR if len(words) > _SECTORS_WRITTEN else None
