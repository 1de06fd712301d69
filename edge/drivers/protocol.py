"""What every driver offers.  Drivers only ever read."""

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from edge.plan import RawBlock, ReadBlock

LATENCIES_KEPT = 512


@dataclass(slots=True)
class LinkStats:
    """What a link has done since the start; counters only grow.

    busy_s:      time the line was in use for requests that were answered, gaps included
    lost_s:      time that went into requests without a usable answer
    latencies_s: the newest answered requests, from the last byte asked to the last byte heard
    """

    requests: int = 0
    retries: int = 0
    timeouts: int = 0
    crc_errors: int = 0
    foreign: int = 0  # answers of another unit, function or length, late ones included
    exceptions: int = 0
    reopened: int = 0
    busy_s: float = 0.0
    lost_s: float = 0.0
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))

    def latency_s(self, share: float) -> float | None:
        """Give a quantile (0.5, 0.99) of the newest latencies; None before the first answer."""
        ordered = sorted(self.latencies_s)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None


class Driver(Protocol):
    """One connection.  Used by one task at a time."""

    @property
    def stats(self) -> LinkStats:
        """Give what the link has done so far."""

    async def read(
        self, unit: int, block: ReadBlock, pause_s: float = 0.0, timeout_s: float | None = None
    ) -> RawBlock:
        """Read a block; DeviceError when the device gives no usable answer.

        pause_s:   silence the device wants before a request, beyond what the line itself needs
        timeout_s: the longest this device may take to answer; None: what the connection says
        """

    async def close(self) -> None:
        """Let go of the link; reading again opens it anew."""
