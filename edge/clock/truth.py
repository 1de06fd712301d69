"""What time it is: how each word on it is judged.  Pure.

Time is the uptime plus an offset.  The offset is taken from the best source there is and held
against everything that is worth less: a wall clock that jumps is believed only when a source that
the machine is synchronised with vouches for it, after the jump.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from edge.clock.server_time import ServerTime

Trust = Literal["ntp", "server", "system"]

STEP_MS = 500  # less is followed without a word
BIG_MS = 10_000  # more must be seen twice
SEEN_AGAIN_MS = 8_000
SERVER_AFTER_MS = 30_000  # how long a time source of the machine may take before the server's word
COAST_MS = 3_600_000  # without a source; then the server's word is taken
DISAGREE_MS = 2_000
RELEASE_MS = 1_735_689_600_000  # 2025: no clock that says less is right


class TimeSource(IntEnum):
    """Where the time is known from; the better the higher."""

    NONE = 0
    SERVER = 1
    SYSTEM = 2
    RTC = 3
    BOOT = 4  # known earlier in this boot
    NTP = 5


@dataclass(frozen=True, slots=True)
class Look:
    """The machine's clocks at one moment, and what vouches for the wall clock.

    token: changes with each synchronisation; None where setting the clock ends synchronisation
    """

    uptime_ms: float
    wall_ms: float
    is_synced: bool = False
    token: float | None = None
    is_rtc_kept: bool = False

    @property
    def offset_ms(self) -> float:
        """Give the wall clock's time of boot."""
        return self.wall_ms - self.uptime_ms


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look led to: known for the first time, a step taken, or a jump not believed (ms)."""

    became_known: bool = False
    step_ms: float = 0.0
    refused_ms: float = 0.0


@dataclass(slots=True)
class Truth:
    """The judge.  `offset_ms` is provisional until `source` says otherwise."""

    trust: Trust
    offset_ms: float
    floor_ms: float = RELEASE_MS
    source: TimeSource = TimeSource.NONE
    server: ServerTime = field(default_factory=ServerTime)
    _began_ms: float | None = None
    _synced_ms: float | None = None  # uptime
    _jump: Look | None = None  # where a wall clock that is not believed was first seen
    _is_told: bool = False  # of that jump

    @property
    def is_known(self) -> bool:
        """Say whether the time is known."""
        return self.source is not TimeSource.NONE

    def judge(self, look: Look) -> Verdict:
        """Take a look at the clocks into account."""
        if self._began_ms is None:
            self._began_ms = look.uptime_ms
        if not self.is_known:
            return self._first(look)
        jump = self._jump if self._is_told else None
        verdict = self._synced(look) if look.is_synced else self._unsynced(look)
        if jump is not None and self._jump is None and not verdict.step_ms:  # it is back
            return Verdict(refused_ms=look.offset_ms - jump.offset_ms)
        return verdict

    def _first(self, look: Look) -> Verdict:
        if look.is_synced and look.wall_ms >= RELEASE_MS:
            return self._known(TimeSource.NTP, look.offset_ms, look)
        if look.is_rtc_kept and look.wall_ms >= max(self.floor_ms, RELEASE_MS):
            return self._known(TimeSource.RTC, look.offset_ms, look)
        if self.trust == "system" and look.wall_ms >= RELEASE_MS:
            return self._known(TimeSource.SYSTEM, look.offset_ms, look)
        bounds = self.server.bounds(look.uptime_ms)
        waited_ms = look.uptime_ms - (self._began_ms or 0.0)
        if self.trust != "ntp" and bounds is not None and waited_ms >= SERVER_AFTER_MS:
            return self._known(TimeSource.SERVER, sum(bounds) / 2, look)
        return Verdict()

    def _known(self, source: TimeSource, offset_ms: float, look: Look) -> Verdict:
        step_ms, self.offset_ms, self.source = offset_ms - self.offset_ms, offset_ms, source
        self._believe(look)
        return Verdict(became_known=True, step_ms=step_ms)

    def _believe(self, look: Look) -> None:
        self._jump = None
        if look.is_synced:
            self._synced_ms, self.source = look.uptime_ms, TimeSource.NTP

    def _synced(self, look: Look) -> Verdict:
        step_ms = look.offset_ms - self.offset_ms
        if abs(step_ms) >= STEP_MS:
            first = self._first_seen(look)
            is_before = look.token is not None and look.token == first.token  # the jump
            is_big = abs(step_ms) >= BIG_MS
            is_denied = self._server_prefers(self.offset_ms, look.offset_ms, look)
            if is_before or (is_big and (is_denied or _is_new(first, look))):
                return self._refuse(step_ms, first, look)
        self.offset_ms = look.offset_ms
        self._believe(look)
        return _step(step_ms)

    def _unsynced(self, look: Look) -> Verdict:
        jump_ms = look.offset_ms - self.offset_ms
        bounds = self.server.bounds(look.uptime_ms)
        is_jump = abs(jump_ms) >= STEP_MS
        is_right = is_jump and self._server_prefers(look.offset_ms, self.offset_ms, look)
        if self.trust == "system" and is_right:
            self.offset_ms = look.offset_ms
            self._believe(look)
            return _step(jump_ms)
        is_alone = self._synced_ms is None or look.uptime_ms - self._synced_ms > COAST_MS
        if self.trust == "server" and is_alone and bounds is not None:
            nearest_ms = min(max(self.offset_ms, bounds[0]), bounds[1])
            step_ms, self.offset_ms = nearest_ms - self.offset_ms, nearest_ms
            if step_ms:
                self.source = TimeSource.SERVER
                return _step(step_ms)
        if not is_jump:
            self._jump = None
            return Verdict()
        return self._refuse(jump_ms, self._first_seen(look), look)

    def _first_seen(self, look: Look) -> Look:
        """Give the look at which the wall clock was first seen where it stands."""
        if self._jump is None or abs(self._jump.offset_ms - look.offset_ms) >= STEP_MS:
            self._jump, self._is_told = look, False
        return self._jump

    def _refuse(self, jump_ms: float, first: Look, look: Look) -> Verdict:
        """Give a jump that is not believed, once, when it lasts."""
        if self._is_told or _is_new(first, look):
            return Verdict()
        self._is_told = True
        return Verdict(refused_ms=jump_ms)

    def _server_prefers(self, one_ms: float, other_ms: float, look: Look) -> bool:
        """Say whether the server agrees with one offset and not with the other."""
        bounds = self.server.bounds(look.uptime_ms)
        return bounds is not None and _lies(one_ms, bounds) and not _lies(other_ms, bounds)

    def server_ahead_ms(self, uptime_ms: float) -> tuple[float, bool] | None:
        """Give how far the server's time is ahead of ours at its likeliest, and whether that is
        a disagreement; None when the server has not been heard lately.
        """
        bounds = self.server.bounds(uptime_ms)
        if bounds is None:
            return None
        return sum(bounds) / 2 - self.offset_ms, not _lies(self.offset_ms, bounds)


def _lies(offset_ms: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] - DISAGREE_MS <= offset_ms <= bounds[1] + DISAGREE_MS


def _is_new(first: Look, look: Look) -> bool:
    return look.uptime_ms - first.uptime_ms < SEEN_AGAIN_MS


def _step(step_ms: float) -> Verdict:
    return Verdict(step_ms=step_ms if abs(step_ms) >= STEP_MS else 0.0)
