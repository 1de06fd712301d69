"""Session: reads one device again and again, as the agent would, and keeps what it costs."""

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

from contract.clock import Clock, SystemClock
from contract.errors import DeviceError
from contract.reading import Reading, Reason
from edge.commission.target import Target
from edge.decode import auxiliary, decode, failed
from edge.drivers.open import open_driver
from edge.drivers.protocol import Driver
from edge.plan import RawBlock, ReadBlock, plan
from edge.profile import DeviceProfile

SILENCE = frozenset({Reason.TIMEOUT, Reason.REFUSED})


@dataclass(frozen=True, slots=True)
class Sample:
    """All points of a device at one moment: readings and raw words by measurand."""

    at_s: float
    time_ms: int
    readings: dict[str, Reading]
    words: dict[str, tuple[int, ...]]

    @property
    def values(self) -> dict[str, float]:
        """Give the values that stand, by measurand."""
        return {n: r.value for n, r in self.readings.items() if r.value is not None}

    @property
    def is_silent(self) -> bool:
        """Say whether the device said nothing at all."""
        return bool(self.readings) and all(r.reason in SILENCE for r in self.readings.values())


@dataclass(slots=True)
class Session:
    """One device on one link.  A register that is refused is found by halving and remembered."""

    target: Target
    profile: DeviceProfile
    driver: Driver
    clock: Clock = field(default_factory=SystemClock)
    requests: int = 0
    failures: int = 0
    latencies_s: list[float] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    auxiliary: dict[str, Fraction] = field(default_factory=dict)  # ratio registers, last known
    _blocks: list[ReadBlock] = field(default_factory=list)
    _refused: list[ReadBlock] = field(default_factory=list)

    @classmethod
    def open(cls, target: Target, profile: DeviceProfile) -> "Session":
        """Give a session on a target's own link; nothing is sent before the first sample."""
        session = cls(target, profile, open_driver(target.connection))
        session._blocks = list(plan(profile.with_auxiliary(profile.points), profile.limits))
        return session

    @property
    def refused(self) -> tuple[str, ...]:
        """Give the points whose registers the device refuses."""
        return tuple(p.measurand for b in self._refused for p in b.points)

    def latency_s(self, share: float) -> float | None:
        """Give a quantile of the answered requests' times: the link's own, else ours."""
        own = self.driver.stats.latency_s(share)
        ordered = sorted(self.latencies_s)
        if own is not None or not ordered:
            return own
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    async def close(self) -> None:
        """Let go of the link."""
        await self.driver.close()

    async def sample(self) -> Sample:
        """Read every point once; what could not be read has its reason."""
        at_s, time_ms = self.clock.monotonic_s(), self.clock.now_ms()
        readings: list[Reading] = []
        words: dict[str, tuple[int, ...]] = {}
        raws: list[RawBlock] = []
        source, kept, waiting = self.target.source, [], deque(self._blocks)
        silent: DeviceError | None = None
        while waiting:
            block = waiting.popleft()
            if silent is not None:  # a device that said nothing is not asked on in this sample
                readings += failed(block, silent, source, time_ms)
                kept.append(block)
                continue
            try:
                raw = await self._read(block)
            except DeviceError as error:
                if error.reason is Reason.ILLEGAL_ADDRESS:
                    waiting.extendleft(reversed(self._halved(block)))
                    continue
                silent = error if error.reason in SILENCE else None
                readings += failed(block, error, source, time_ms)
            else:
                raws.append(raw)
                words.update(_words(raw))
            kept.append(block)
        self._blocks = kept
        for raw in raws:
            self.auxiliary |= auxiliary(raw, source)
        for raw in raws:
            readings += decode(raw, source, time_ms, 0.0, self.auxiliary)
        refused = DeviceError(Reason.ILLEGAL_ADDRESS)
        for block in self._refused:
            readings += failed(block, refused, source, time_ms)
        return Sample(at_s, time_ms, {r.point.measurand: r for r in readings}, words)

    def _halved(self, block: ReadBlock) -> list[ReadBlock]:
        if len(block.points) == 1:
            self._refused.append(block)
            return []
        middle = len(block.points) // 2
        halves = (block.points[:middle], block.points[middle:])
        return [b for half in halves for b in plan(half, self.profile.limits)]

    async def _read(self, block: ReadBlock) -> RawBlock:
        limits = self.profile.limits
        started_s = self.clock.monotonic_s()
        self.requests += 1
        try:
            raw = await self.driver.read(
                self.target.unit, block, limits.pause_ms / 1000, limits.timeout_ms / 1000
            )
        except DeviceError as error:
            if error.reason is not Reason.ILLEGAL_ADDRESS:
                self.failures += 1
                name = error.reason.name.lower()
                self.reasons[name] = self.reasons.get(name, 0) + 1
            raise
        self.latencies_s.append(self.clock.monotonic_s() - started_s)
        return raw


def _words(raw: RawBlock) -> dict[str, tuple[int, ...]]:
    out = {}
    for point in raw.block.points:
        start = point.address - raw.block.address
        out[point.measurand] = raw.words[start : start + point.words] if point.function else ()
    return out
