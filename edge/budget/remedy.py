"""What would make a bus fit, in numbers: longer intervals, a faster line, fewer devices."""

import math
from collections.abc import Iterator
from dataclasses import replace

from edge.budget.bus import RESERVE, BusBudget, DeviceLoad
from edge.plan import ReadBlock
from edge.profile import Pace

BAUDS = (1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200)
MOST_REGISTERS = 125


def shortest_tick_s(bus: BusBudget) -> float:
    """Give the shortest tick (whole tenths) that fits; all intervals grow in proportion."""
    return math.ceil(round(bus.busiest_s / (1 - RESERVE) * 10, 6)) / 10


def lowest_baud(bus: BusBudget) -> int | None:
    """Give the lowest usual line speed that fits; None if none does, or there is no known line."""
    if bus.line.baud is None:
        return None
    faster = (b for b in BAUDS if b > bus.line.baud)
    return next((b for b in faster if at_baud(bus, b).fits), None)


def at_baud(bus: BusBudget, baud: int) -> BusBudget:
    """Give the budget of the same reads at another line speed."""
    return bus.on(replace(bus.line, baud=baud))


def devices_that_fit(bus: BusBudget) -> int:
    """Give how many of the devices, in file order, fit on the line."""
    return len(next(_lines(bus), ()))


def lines_needed(bus: BusBudget) -> int | None:
    """Give how many such lines carry the devices, filled in file order; None: one is too many."""
    lines = list(_lines(bus))
    return len(lines) if sum(map(len, lines)) == len(bus.loads) else None


def registers_each(bus: BusBudget) -> int:
    """Give how many registers each device may have in one request a tick; 0: not even that fits."""
    most_s = bus.tick_s * (1 - RESERVE)
    fixed_s = sum(bus.line.read_s(0, load.pause_s) for load in bus.loads)
    if not bus.line.register_s:
        return MOST_REGISTERS if fixed_s <= most_s else 0
    left = (most_s - fixed_s) / (len(bus.loads) * bus.line.register_s)
    return max(0, min(MOST_REGISTERS, math.floor(left + 1e-9)))


def fullest_blocks(bus: BusBudget) -> list[ReadBlock]:
    """Give the blocks that come at every slot, without the slow ones that are spread."""
    return [*bus.blocks(Pace.FAST), *bus.blocks(Pace.NORMAL)]


def _lines(bus: BusBudget) -> Iterator[tuple[DeviceLoad, ...]]:
    """Fill lines in file order; ends at a device that does not fit on a line of its own."""
    waiting = list(bus.loads)
    while waiting:
        line: list[DeviceLoad] = []
        while waiting and bus.with_loads([*line, waiting[0]]).busiest_s <= _most_s(bus):
            line.append(waiting.pop(0))
        if not line:
            return
        yield tuple(line)


def _most_s(bus: BusBudget) -> float:
    return bus.tick_s * (1 - RESERVE)
