"""The server's time, from the Date of its answers.  Pure.

A Date says a whole second: the true time at which it was written lies in it, and that moment lies
between sending and receiving.  Each answer so bounds the difference between the server's time and
our uptime; answers at other parts of the second narrow the bounds down to about the round trip.
"""

from dataclasses import dataclass

DATE_STEP_MS = 1000
DRIFT = 500e-6  # more than a crystal is off by
LATEST_MS = 6 * 3_600_000  # an older word says nothing


@dataclass(slots=True)
class ServerTime:
    """Bounds of server time − uptime in ms at the uptime of the last word."""

    low_ms: float = 0.0
    high_ms: float = 0.0
    heard_ms: float | None = None

    def heard(self, server_ms: int, sent_ms: float, received_ms: float) -> None:
        """Take a word: the time in whole seconds, and the uptimes of question and answer."""
        low, high = server_ms - received_ms, server_ms + DATE_STEP_MS - sent_ms
        now = self.bounds(received_ms)
        if now is not None:
            both = max(now[0], low), min(now[1], high)
            if both[0] <= both[1]:  # else the server's clock has been set: only the new word counts
                low, high = both
        self.low_ms, self.high_ms, self.heard_ms = low, high, received_ms

    def bounds(self, uptime_ms: float) -> tuple[float, float] | None:
        """Give (low, high) at an uptime, wider the older; None when nothing was heard lately."""
        if self.heard_ms is None or uptime_ms - self.heard_ms > LATEST_MS:
            return None
        drift_ms = abs(uptime_ms - self.heard_ms) * DRIFT
        return self.low_ms - drift_ms, self.high_ms + drift_ms
