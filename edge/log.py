"""Log: one line per decision, and never the same line for ever.

Of each event (and device, bus or loop it is about) the first few lines of an interval pass; what
is held back is told in one line, "n more suppressed".  The newest warnings are kept for `status`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

FIRST, INTERVAL_S = 5, 3600.0
_ABOUT = ("device", "bus", "loop", "file")
_KEPT = 10
_SERIOUS = frozenset({"warning", "error", "critical"})
_SUPPRESSED = "suppressed"
_Key = tuple[str, ...]


@dataclass(slots=True)
class _Window:
    began_s: float
    passed: int = 0
    held_back: int = 0


class Limiter:
    """A structlog processor that lets the first lines of an event pass.  Thread-safe."""

    def __init__(
        self,
        first: int = FIRST,
        interval_s: float = INTERVAL_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first, self._interval_s, self._now_s = first, interval_s, now_s
        self._windows: dict[_Key, _Window] = {}
        self._newest: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def __call__(self, _: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Let a line pass, or raise DropEvent."""
        if event.get("event") == _SUPPRESSED:
            return event
        with self._lock:
            if method in _SERIOUS:
                self._newest.append({"level": method, "at_s": self._now_s(), **event})
            key = (str(event.get("event")), *(str(event[k]) for k in _ABOUT if k in event))
            window = self._windows.setdefault(key, _Window(self._now_s()))
            if window.passed < self._first:
                window.passed += 1
                return event
            window.held_back += 1
        raise structlog.DropEvent

    def tell(self) -> None:
        """Say once how many lines each interval that is over has held back."""
        now_s = self._now_s()
        with self._lock:
            over = {
                key: window
                for key, window in self._windows.items()
                if now_s - window.began_s >= self._interval_s
            }
            for key in over:
                del self._windows[key]
        log = structlog.get_logger()
        for (event, *about), window in over.items():
            if window.held_back:
                log.info(_SUPPRESSED, of=event, about=" ".join(about), more=window.held_back)

    def newest(self) -> list[dict[str, Any]]:
        """Give the newest warnings and errors, the newest last, each with its age in seconds."""
        now_s = self._now_s()
        with self._lock:
            return [
                {k: v for k, v in it.items() if k != "at_s"} | {"age_s": now_s - it["at_s"]}
                for it in self._newest
            ]


LIMITER = Limiter()


def configure(stream: Any, limiter: Limiter = LIMITER) -> None:
    """Log to a stream as logfmt, a line an event."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            limiter,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
