"""Delivery lines: an agent's word on what it sent, dropped, set aside, and what waits."""

import threading
from collections.abc import Mapping

from contract.clock import Clock
from contract.line import LAG_FIELD, series_key
from contract.measurand import Medium


class DeliveryLines:
    """Makes the delivery lines of one agent, no two of the same time.  Thread-safe."""

    def __init__(self, site: str, agent: str, clock: Clock) -> None:
        self._key, self.clock = series_key(Medium.DELIVERY, site, agent), clock
        self._last_ms = 0
        self._lock = threading.Lock()

    def line(self, fields: Mapping[str, float]) -> str:
        """Give a line of these fields, at this moment."""
        with self._lock:
            self._last_ms = max(self.clock.now_ms(), self._last_ms + 1)
            time_ms = self._last_ms
        text = ",".join(f"{name}={float(value)!r}" for name, value in fields.items())
        return f"{self._key} {text},{LAG_FIELD}=0.0 {time_ms}"
