"""Virtual time: an event loop that jumps to its next timer, a clock on it, a driver by script."""

import asyncio
import selectors
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

from contract.errors import DeviceError
from contract.reading import Reading, Reason
from edge.decode import Source, readings_of
from edge.drivers.protocol import LinkStats
from edge.plan import RawBlock, ReadBlock
from edge.poller import Bus, Unit
from edge.profile import Pace, PointSpec

T0_MS = 1_767_225_600_000  # a slot of every interval up to a day
_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class _Jump(selectors.SelectSelector):
    """Waits for nobody: the time to wait simply passes."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "everything waits, and no timer is set"
        self.now_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs threads' work at once and jumps over every wait."""

    def __init__(self) -> None:
        self.jump = _Jump()
        super().__init__(self.jump)

    def time(self) -> float:
        return self.jump.now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        done: asyncio.Future[_T] = self.create_future()
        done.set_result(func(*args))
        return done


class VirtualClock:
    """Wall time is T0 plus the loop's time plus `step_ms`, which a test may change at will."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop, self.step_ms = loop, 0

    def now_ms(self) -> int:
        return T0_MS + self.step_ms + int(self._loop.time() * 1000 + 1e-6)

    def monotonic_s(self) -> float:
        return self._loop.time()


def in_virtual_time(run: Callable[[VirtualClock], Awaitable[_T]]) -> _T:
    """Run a coroutine in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(run(VirtualClock(loop)))
    finally:
        loop.close()


async def polled(bus: Bus, slot_ms: int, clock: VirtualClock) -> list[Reading]:
    """Read what is due at a slot; give its readings one by one."""
    return readings_of(await bus.poll_due(slot_ms, clock), slot_ms)


class ScriptedDriver:
    """Answers every register with 7, unless `says` gives a reason for (unit, block).

    An answer takes `latency_s`, a silence `timeout_s`.  Keeps what it was asked.
    """

    def __init__(self, latency_s: float = 0.02, timeout_s: float = 1.0) -> None:
        self.latency_s, self.timeout_s = latency_s, timeout_s
        self.silent: set[int] = set()
        self.refused: set[int] = set()  # addresses that are not there
        self.says: Callable[[int, ReadBlock], Reason | None] = lambda unit, block: None
        self.asked: list[tuple[int, ReadBlock]] = []
        self.stats = LinkStats()

    async def read(
        self, unit: int, block: ReadBlock, pause_s: float = 0.0, timeout_s: float | None = None
    ) -> RawBlock:
        self.asked.append((unit, block))
        reason = Reason.TIMEOUT if unit in self.silent else self.says(unit, block)
        if self.refused & set(range(block.address, block.address + block.count)):
            reason = reason or Reason.ILLEGAL_ADDRESS
        await asyncio.sleep(self.timeout_s if reason is Reason.TIMEOUT else self.latency_s)
        if reason:
            raise DeviceError(reason)
        return RawBlock(block, (7,) * block.count)

    async def close(self) -> None:
        pass

    def counts(self) -> Counter[int]:
        """Give the requests by unit, and forget them."""
        found = Counter(unit for unit, _ in self.asked)
        self.asked.clear()
        return found


NAMES = (
    "power_kw", "energy_import_kwh", "voltage_l1_v", "voltage_l2_v", "voltage_l3_v",
    "current_l1_a", "current_l2_a", "current_l3_a",
)  # fmt: skip


def point(name: str, address: int, pace: Pace = Pace.NORMAL) -> PointSpec:
    """Give a one-register point in the measurand's own unit."""
    unit = {"_kw": "kW", "kwh": "kWh", "1_v": "V", "2_v": "V", "3_v": "V"}.get(name[-3:], "A")
    return PointSpec(name, 3, address, "u16", unit=unit, pace=pace)


def block(*names: str, at: int = 0, pace: Pace = Pace.NORMAL) -> ReadBlock:
    """Give a block of one-register points from an address on."""
    points = tuple(point(n, at + i, pace) for i, n in enumerate(names))
    return ReadBlock(3, at, len(points), points)


def unit(number: int, *blocks: ReadBlock, **more: Any) -> Unit:
    """Give a unit called D<number>."""
    return Unit(Source("s", f"D{number}"), number, blocks or (block("power_kw"),), **more)
