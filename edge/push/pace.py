"""Pace: how long to wait after a failure, how much to send at once, how fast to replay."""

import random

from contract.clock import Clock
from contract.errors import DeliveryError

BACKOFF_FIRST_S, BACKOFF_MAX_S = 1.0, 300.0
SETTINGS_WAIT_S = 60.0
_SMALLEST_BYTES = 4000
_AFTER_OUTAGE_SHARE, _AFTER_OUTAGE_MAX_S = 0.1, 60.0


class Pace:
    """The waits of one destination.

    Replay keeps to a share of the time and to a rate, and begins at random after an outage, so
    that all agents of a county do not storm a server that comes back; what is new never waits.
    """

    def __init__(
        self, clock: Clock, batch_bytes: int, tick_s: float, share: float, bytes_per_s: float
    ) -> None:
        self._clock, self._most_bytes, self._tick_s = clock, batch_bytes, tick_s
        self._share, self._bytes_per_s = share, bytes_per_s
        self.batch_bytes = batch_bytes
        self._replay_at_s = 0.0
        self._failures, self._failing_since_s = 0, 0.0

    def failed(self, error: DeliveryError) -> float:
        """Give how long to wait after a failure: the server's word, else back-off with jitter."""
        if not self._failures:
            self._failing_since_s = self._clock.monotonic_s()
        self._failures += 1
        backoff_s = min(BACKOFF_FIRST_S * 2.0 ** min(self._failures - 1, 16), BACKOFF_MAX_S)
        wait_s = SETTINGS_WAIT_S if error.permanent else backoff_s
        return max(error.retry_after_s or 0.0, wait_s * random.uniform(0.5, 1.0))

    def shrink(self, sent_bytes: int) -> None:
        """Send at most half as much from now on."""
        self.batch_bytes = max(min(self.batch_bytes, sent_bytes) // 2, 1)

    def delivered(self, sent_bytes: int, took_s: float, *, is_replay: bool) -> None:
        """Take note of a success: the next body is sized by how long this one took."""
        now_s = self._clock.monotonic_s()
        if self._failures:
            outage_s = now_s - self._failing_since_s
            rest_s = min(outage_s * _AFTER_OUTAGE_SHARE, _AFTER_OUTAGE_MAX_S)
            self._replay_at_s = now_s + rest_s * random.random()
            self._failures = 0
        if took_s > self._tick_s / 2:
            self.batch_bytes = max(self.batch_bytes // 2, min(_SMALLEST_BYTES, self._most_bytes))
        else:
            self.batch_bytes = min(self.batch_bytes * 2, self._most_bytes)
        if is_replay:
            pause_s = max(took_s * (1 / self._share - 1), sent_bytes / self._bytes_per_s - took_s)
            self._replay_at_s = now_s + max(pause_s, 0.0) * random.uniform(0.8, 1.2)

    def replay_in_s(self) -> float:
        """Give how long the backlog has to wait."""
        return max(self._replay_at_s - self._clock.monotonic_s(), 0.0)
