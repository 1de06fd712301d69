"""What a bus is asked at each tick, and the time that takes."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from edge.budget.line import LineCost, line_of
from edge.config import AgentConfig, Connection, DeviceConfig, Intervals
from edge.plan import DevicePlan, Hole, ReadBlock, plan_paced, turns
from edge.profile import DeviceProfile, Pace, PointSpec, ReadLimits, find_profile

RESERVE = 0.2  # of a tick that should stay free: for retries, slow answers, devices that come back
_TENTHS = 10


@dataclass(frozen=True, slots=True)
class DeviceLoad:
    """One device: its plan, and what it makes the line wait.

    timeout_s: the longest it is waited for
    """

    device: DeviceConfig
    plan: DevicePlan
    pause_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class BusBudget:
    """One connection and what its devices ask of it, in seconds.

    Fast and normal blocks are read at every slot of theirs; slow ones are spread over the ticks
    of the slow interval.
    """

    connection: Connection
    line: LineCost
    intervals: Intervals
    loads: tuple[DeviceLoad, ...]

    @property
    def paces(self) -> tuple[Pace, ...]:
        """Give the paces that something is read at, the fastest first."""
        return tuple(p for p in Pace if any(p in load.plan.blocks for load in self.loads))

    @property
    def tick_s(self) -> float:
        """Give the base tick: the longest step that every pace's interval is a multiple of."""
        steps = (round(self.interval_s(p) * _TENTHS) for p in self.paces or tuple(Pace))
        return math.gcd(*steps) / _TENTHS

    @property
    def cycle_s(self) -> float:
        """Give the time to read everything once, all devices answering."""
        return sum(self.pace_s(p) for p in self.paces)

    @property
    def busiest_s(self) -> float:
        """Give the time that the fullest tick takes, all devices answering."""
        slow = self._reads(Pace.SLOW)
        ticks = max(1, round(self.intervals.slow / self.tick_s))
        fullest_s = max(
            (sum(self._read_s(*r) for r in slow[a:b]) for a, b in turns(len(slow), ticks)),
            default=0.0,
        )
        return self.pace_s(Pace.FAST) + self.pace_s(Pace.NORMAL) + fullest_s

    @property
    def worst_s(self) -> float:
        """Give the time of the fullest tick when the one device that costs most is silent."""
        return self.busiest_s + max((max(0.0, s) for s in self._silence_costs()), default=0.0)

    @property
    def silent_that_fit(self) -> int:
        """Give how many devices may be silent, and probed in the fullest tick, before it is over.

        Back-off makes probes rare, so that more may be silent in the long run.
        """
        left_s, count = self.tick_s - self.busiest_s, 0
        for cost_s in sorted(self._silence_costs(), reverse=True):
            left_s -= cost_s
            if left_s < 0:
                break
            count += 1
        return count

    @property
    def share(self) -> float:
        """Give the part of the tick that the fullest one takes; above 1 it cannot be kept."""
        return self.busiest_s / self.tick_s

    @property
    def fits(self) -> bool:
        """Say whether the fullest tick leaves the reserve free."""
        return self.share <= 1 - RESERVE

    def interval_s(self, pace: Pace) -> float:
        """Give the seconds between two reads of a pace."""
        return float(getattr(self.intervals, pace.value))

    def pace_s(self, pace: Pace) -> float:
        """Give the time to read everything of a pace once."""
        return sum(self._read_s(*r) for r in self._reads(pace))

    def utilisation(self, pace: Pace) -> float:
        """Give the part of the line's time that a pace takes on average."""
        return self.pace_s(pace) / self.interval_s(pace)

    def blocks(self, pace: Pace | None = None) -> list[ReadBlock]:
        """Give the blocks of a pace, or of all."""
        return [b for p in ([pace] if pace else self.paces) for _, b in self._reads(p)]

    def pauses_s(self, blocks_of: Collection[Pace]) -> float:
        """Give what devices' pauses add to the reads of some paces."""
        reads = (r for p in blocks_of for r in self._reads(p))
        return sum(self.line.pause_beyond_s(load.pause_s) for load, _ in reads)

    def on(self, line: LineCost) -> "BusBudget":
        """Give the budget of the same reads on another line."""
        return replace(self, line=line)

    def with_loads(self, loads: Iterable[DeviceLoad]) -> "BusBudget":
        """Give the budget of some of the devices alone."""
        return replace(self, loads=tuple(loads))

    def _reads(self, pace: Pace) -> list[tuple[DeviceLoad, ReadBlock]]:
        return [(load, b) for load in self.loads for b in load.plan.blocks.get(pace, ())]

    def _read_s(self, load: DeviceLoad, block: ReadBlock) -> float:
        return self.line.read_s(block.count, load.pause_s)

    def _silence_costs(self) -> Iterator[float]:
        """Give what each device adds to the fullest tick when it is probed instead of read.

        Its slow reads are left in: they need not fall into that tick.
        """
        for load in self.loads:
            each = [b for p in (Pace.FAST, Pace.NORMAL) for b in load.plan.blocks.get(p, ())]
            saved_s = sum(self._read_s(load, b) for b in each)
            yield self.line.probe_s(load.timeout_s, load.pause_s) - saved_s


def plan_of(config: AgentConfig, device: DeviceConfig, holes: Collection[Hole] = ()) -> DevicePlan:
    """Give how a device is read on its connection; the connection and the profile exist."""
    (connection,) = (c for c in config.connections if c.id == device.connection)
    profile = find_profile(device.profile)
    intervals = config.intervals_of(connection)
    cost = line_of(connection).request_registers(profile.limits.pause_ms / 1000)
    points = points_of(profile, device)
    return plan_paced(points, profile.limits, _seconds(intervals), cost=cost, holes=holes)


def points_of(profile: DeviceProfile, device: DeviceConfig) -> tuple[PointSpec, ...]:
    """Give the points to read of a device, each at its pace, and those that scale them."""
    wanted = (p for p in profile.points if device.points is None or p.measurand in device.points)
    paces = {name: Pace(pace) for name, pace in device.pace.items()}
    paced = (replace(p, pace=paces.get(p.measurand, p.pace)) for p in wanted)
    return profile.with_auxiliary(paced)


def bus_budgets(config: AgentConfig) -> tuple[BusBudget, ...]:
    """Give the budget of each connection that has devices, in file order."""
    out = []
    for connection in config.connections:
        loads = tuple(_load(config, connection, d) for d in config.devices_of(connection.id))
        if loads:
            intervals = config.intervals_of(connection)
            out.append(BusBudget(connection, line_of(connection), intervals, loads))
    return tuple(out)


def _load(config: AgentConfig, connection: Connection, device: DeviceConfig) -> DeviceLoad:
    limits: ReadLimits = find_profile(device.profile).limits
    timeout_s = min(connection.timeout_s, limits.timeout_ms / 1000)
    return DeviceLoad(device, plan_of(config, device), limits.pause_ms / 1000, timeout_s)


def _seconds(intervals: Intervals) -> Mapping[Pace, float]:
    return {p: float(getattr(intervals, p.value)) for p in Pace}
