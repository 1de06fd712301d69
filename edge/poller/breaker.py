"""When a silent unit is asked again, and what its bus may lose on it.  Pure: time is an argument.

closed --N silent rounds--> open --back-off over--> half-open --answer--> closed
                             ^-----------silence--------'

An exception answer is an answer.  A link that is down says nothing about its units.
"""

import math
from dataclasses import dataclass, field
from enum import IntEnum

SILENT_ROUNDS = 2  # rounds without any answer before a unit is suspended
BACKOFF_MAX_S = 300.0
LOSS_SHARE = 0.05  # of a bus's time, that may go into asking units known to be silent


class BreakerState(IntEnum):
    """Whether a unit is asked; the code is what goes on the wire."""

    CLOSED = 0  # asked each time
    HALF_OPEN = 1  # the back-off is over: one probe will tell
    OPEN = 2  # not asked


@dataclass(slots=True)
class Breaker:
    """The breaker of one unit, or of one read of a unit that answers others.

    Back-off steps are `first_s`, doubled each time, at most `max_s` (or `first_s`, if longer).
    """

    first_s: float = 60.0
    max_s: float = BACKOFF_MAX_S
    silent_rounds: int = 0
    retry_at_s: float = -math.inf  # also orders the turns of units in doubt
    is_open: bool = False

    def state(self, now_s: float) -> BreakerState:
        """Give the state at an instant."""
        if not self.is_open:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self.retry_at_s else BreakerState.HALF_OPEN

    def opens_at_next(self, *, at_once: bool = False) -> bool:
        """Say whether one more silent round opens it."""
        return not self.is_open and (at_once or self.silent_rounds + 1 >= SILENT_ROUNDS)

    def silent(self, now_s: float, jitter: float = 1.0, *, at_once: bool = False) -> bool:
        """Take note of a silent round; say whether it has opened just now.

        `jitter` stretches the back-off; with `at_once` the first silence is enough.
        """
        opens = self.opens_at_next(at_once=at_once)
        self.silent_rounds = max(self.silent_rounds + 1, SILENT_ROUNDS if opens else 0)
        self.is_open = self.is_open or opens
        steps = min(self.silent_rounds - SILENT_ROUNDS, 30)
        step_s = min(self.first_s * 2.0**steps, max(self.max_s, self.first_s))
        self.retry_at_s = now_s + (step_s * jitter if self.is_open else 0.0)
        return opens

    def answered(self) -> bool:
        """Take note of an answer: it is closed; say whether it was open."""
        was_open, self.is_open, self.silent_rounds = self.is_open, False, 0
        return was_open


@dataclass(slots=True)
class LossBudget:
    """What a bus may lose on probing silent units: LOSS_SHARE of its time, however many they are.

    An allowance grows with time, up to that share of one interval; a probe is allowed while any
    is left, and may overdraw it, so that in the long run the share holds for any timeout.
    """

    interval_s: float
    left_s: float = field(init=False)
    _seen_s: float | None = None

    def __post_init__(self) -> None:
        self.left_s = LOSS_SHARE * self.interval_s

    def allows(self, now_s: float) -> bool:
        """Say whether a probe may be lost now."""
        if self._seen_s is not None:
            grown_s = self.left_s + LOSS_SHARE * (now_s - self._seen_s)
            self.left_s = min(grown_s, LOSS_SHARE * self.interval_s)
        self._seen_s = now_s
        return self.left_s > 0

    def lost(self, seconds: float) -> None:
        """Charge a silence.  What could not be foreseen leaves no debt beyond itself."""
        self.left_s = max(self.left_s - seconds, -seconds)
