"""Sweep: reads whole ranges of registers, around those a device refuses.  Read-only."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from contract.errors import DeviceError
from contract.reading import Reason
from edge.commission.solve import Span
from edge.drivers.protocol import Driver
from edge.plan import ReadBlock
from edge.profile import DeviceProfile

CHUNK = 40  # what nearly every meter stands
SILENT_MAX = 3  # requests without an answer in a row after which a device is given up
USUAL_TO = 200
_REFUSALS = frozenset({Reason.ILLEGAL_ADDRESS, Reason.DEVICE_EXCEPTION})


@dataclass(slots=True)
class Sweep:
    """Reads ranges of one unit; `refused` counts registers that do not exist."""

    driver: Driver
    unit: int
    pause_s: float = 0.02
    on_step: Callable[[int], None] = lambda _registers: None
    refused: int = 0
    requests: int = 0
    silent: int = 0
    _got: list[Span] = field(default_factory=list)

    async def run(self, ranges: Iterable[tuple[int, int, int]]) -> list[Span]:
        """Give the spans that could be read of (function, first, end) ranges, neighbours joined.

        DeviceError when the device falls silent.
        """
        for function, first, end in ranges:
            for address in range(first, end, CHUNK):
                await self._read(function, address, min(CHUNK, end - address))
                self.on_step(min(CHUNK, end - address))
        return joined(self._got)

    async def _read(self, function: int, address: int, count: int) -> None:
        """Read a block; halve it where it is refused, on even addresses while it can be."""
        self.requests += 1
        try:
            raw = await self.driver.read(
                self.unit, ReadBlock(function, address, count, ()), self.pause_s
            )
        except DeviceError as error:
            if error.reason not in _REFUSALS:
                self.silent += 1
                if self.silent >= SILENT_MAX or error.reason is Reason.REFUSED:
                    raise
                return
            self.silent = 0
            if count == 1:
                self.refused += 1
                return
            half = count // 4 * 2 or min(count - 1, 2)
            await self._read(function, address, half)
            await self._read(function, address + half, count - half)
            return
        self.silent = 0
        self._got.append(Span(function, address, raw.words))


def joined(spans: Iterable[Span]) -> list[Span]:
    """Join spans that touch, so that a value across two reads is seen whole."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.function, s.address)):
        last = out[-1] if out else None
        if (
            last is not None
            and last.function == span.function
            and last.address + len(last.words) == span.address
        ):
            out[-1] = Span(last.function, last.address, last.words + span.words)
        else:
            out.append(span)
    return out


def usual_ranges(
    functions: Sequence[int], profiles: Sequence[DeviceProfile]
) -> list[tuple[int, int, int]]:
    """Give where meters keep their values: the first registers, and where known profiles look."""
    out = []
    for function in functions:
        pieces = [(0, USUAL_TO)]
        pieces += [(p.address, p.end) for d in profiles for p in d.points if p.function == function]
        merged: list[tuple[int, int]] = []
        for first, end in sorted(pieces):
            if merged and first <= merged[-1][1] + 8:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((first, end))
        out += [(function, a, b) for a, b in merged]
    return out
