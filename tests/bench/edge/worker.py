"""python -m tests.bench.edge.worker KIND JOB: do one job, print what it took as a line of JSON."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

from contract.clock import SystemClock, next_slot, slot_of
from contract.errors import DeviceError
from contract.reading import Reason
from edge.agent import buses_of, read_config
from edge.config import ModbusRtu, ModbusTcp
from edge.decode import encode_slot, readings_of
from edge.drivers.open import open_driver
from edge.drivers.protocol import Driver
from edge.plan import ReadBlock, plan
from edge.profile import find_profile
from tests.bench.edge import others

WARM_UP_S = 0.7
STOP_S = 30.0
HOUR_MS = 3_600_000


def cpu_s() -> float:
    """Give this process's processor time so far, user + system."""
    used = getrusage(RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def only_block(ref: str) -> ReadBlock:
    profile = find_profile(ref)
    (block,) = plan(profile.points, profile.limits)
    return block


def rtu(client: str, device: str, baud: int, reads: int, ref: str) -> dict[str, float]:
    """Read a line `reads` times by one of three clients; the first read is not counted."""
    if client == "plain":
        return others.plain_rtu(device, baud, reads, only_block(ref).count, cpu_s)

    async def run() -> dict[str, float]:
        if client == "pymodbus":
            read = await others.pymodbus_rtu(device, baud, only_block(ref).count)
        else:
            line = ModbusRtu(
                id="b", driver="modbus-rtu", device=device, baud=baud, stopbits=2, timeout_s=1.0
            )
            driver, block = open_driver(line), only_block(ref)

            async def read() -> bool:
                return await succeeds(driver, block)

        await read()
        before_s, good = cpu_s(), 0
        for _ in range(reads):
            good += await read()
        return {"good": good, "cpu_s": cpu_s() - before_s}

    return asyncio.run(run())


async def succeeds(driver: Driver, block: ReadBlock) -> bool:
    try:
        await driver.read(1, block)
    except DeviceError:
        return False
    return True


@dataclass(slots=True)
class Done:
    """What the loops of a job have done so far."""

    reads: int = 0
    values: int = 0
    failures: int = 0
    is_over: bool = False


Loop = Callable[[Done], Coroutine[Any, Any, None]]


async def measured(loops: list[Loop], seconds: float) -> dict[str, float]:
    """Let loops run; measure what they do, and cost, after a warm-up."""
    done = Done()
    tasks = [asyncio.create_task(loop(done)) for loop in loops]
    await asyncio.sleep(WARM_UP_S)
    reads, values, used_s, began_s = done.reads, done.values, cpu_s(), time.perf_counter()
    await asyncio.sleep(seconds)
    took_s, used_s = time.perf_counter() - began_s, cpu_s() - used_s
    reads, values = done.reads - reads, done.values - values
    done.is_over = True  # not cancelled: wait_for of Python 3.11 may swallow that under load
    await asyncio.wait_for(asyncio.gather(*tasks), STOP_S)
    return {
        "reads_per_s": reads / took_s,
        "values_per_s": values / took_s,
        "us_per_read": used_s / max(reads, 1) * 1e6,
        "us_per_value": used_s / max(values, 1) * 1e6,
        "cpu_share": used_s / took_s,
        "failures": done.failures,
    }


def tcp(client: str, port: int, count: int, seconds: float, ref: str) -> dict[str, float]:
    """Read `count` meters back to back, one request at a time each."""
    block = only_block(ref)

    def of_driver() -> Loop:
        driver = open_driver(
            ModbusTcp(id="c", driver="modbus-tcp", host="127.0.0.1", port=port, timeout_s=5.0)
        )

        async def loop(done: Done) -> None:
            while not done.is_over:
                good = await succeeds(driver, block)
                done.reads += good
                done.failures += not good

        return loop

    def of_other(read: Callable[[], Awaitable[int]]) -> Loop:
        async def loop(done: Done) -> None:
            while not done.is_over:
                values = await read()
                done.values += values
                done.reads += 1

        return loop

    async def run() -> dict[str, float]:
        if client == "driver":
            return await measured([of_driver() for _ in range(count)], seconds)
        make = others.pymodbus_block if client == "bare" else others.pymodbus_single
        reads = [await make(port, block.count) for _ in range(count)]
        return await measured([of_other(r) for r in reads], seconds)

    return asyncio.run(run())


class SlotClock:
    """A clock that stands at a slot when it is set there, and goes on from it.

    Rounds follow each other without waiting, each at its own slot.
    """

    def __init__(self, slot_ms: int) -> None:
        self._slot_ms, self._set_s = slot_ms, time.monotonic()

    def now_ms(self) -> int:
        return self._slot_ms + int((time.monotonic() - self._set_s) * 1000)

    def monotonic_s(self) -> float:
        return time.monotonic()


def poll(
    agent: str, seconds: float = 0.0, rounds: int = 0, *, lines: bool = False
) -> dict[str, float]:
    """Poll an agent's buses back to back, for some time or a number of rounds each.

    lines: make the lines of each round, too, as they are kept
    """

    async def run() -> dict[str, float]:
        config = read_config(Path(agent))
        step_ms = round(config.interval_s * 1000)
        start_ms = slot_of(SystemClock().now_ms() - HOUR_MS, step_ms)
        buses = buses_of(config)

        def of_bus(index: int) -> Loop:
            async def loop(done: Done) -> None:
                slot_ms, left = start_ms, rounds
                while not done.is_over and (left or not rounds):
                    columns = await buses[index].poll_due(slot_ms, SlotClock(slot_ms))
                    if lines:
                        encode_slot(columns, slot_ms)
                    done.reads += 1
                    for c in columns:
                        done.values += len(c.values) - len(c.doubts)
                        done.failures += len(c.doubts)
                    slot_ms += step_ms
                    left -= 1

            return loop

        loops = [of_bus(i) for i in range(len(buses))]
        if not rounds:
            return await measured(loops, seconds)
        done = Done()
        await asyncio.gather(*(loop(done) for loop in loops))
        return {"values": done.values, "failures": done.failures}

    return asyncio.run(run())


def slots(agent: str, rounds: int, dead: str) -> dict[str, Any]:
    """Poll an agent's one bus at its slots, from the round on in which `dead` is first left out.

    dead: a device id, or "" for a bus of which every unit answers.
    """

    async def run() -> dict[str, Any]:
        config, clock = read_config(Path(agent)), SystemClock()
        step_ms = round(config.interval_s * 1000)
        (bus,) = buses_of(config)
        out: list[dict[str, Any]] = []
        is_open, missed, slot_ms = not dead, 0, next_slot(clock.now_ms(), step_ms)
        while len(out) < rounds:
            await asyncio.sleep(max(0.0, (slot_ms - clock.now_ms()) / 1000) + 0.002)
            began_s = time.perf_counter()
            readings = readings_of(await bus.poll_due(slot_ms, clock), slot_ms)
            took_s = time.perf_counter() - began_s
            mine = {r.reason for r in readings if r.point.device == dead}
            is_open = is_open or mine == {Reason.SUSPENDED}
            lags = {r.point.device: r.lag_s for r in readings if r.value is not None}
            following = max(slot_ms, slot_of(clock.now_ms(), step_ms)) + step_ms
            if is_open:
                is_probe = mine not in (set(), {Reason.SUSPENDED})
                out.append({"took_s": took_s, "lags": lags, "is_probe": is_probe})
                missed += (following - slot_ms) // step_ms - 1
            slot_ms = following
        await bus.driver.close()
        return {"rounds": out, "missed": missed}

    return asyncio.run(run())


KINDS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "rtu": rtu,
    "tcp": tcp,
    "poll": poll,
    "slots": slots,
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(KINDS[sys.argv[1]](**json.loads(sys.argv[2]))) + "\n")
