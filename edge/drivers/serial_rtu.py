"""Modbus RTU on a serial line: each line has one thread, and the loop only waits for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from edge.config import Rs485
from edge.drivers.frames import rtu_length
from edge.drivers.link import Answer
from edge.drivers.protocol import LinkStats
from edge.drivers.serial_line import SerialLine
from edge.drivers.wire import Wire
from edge.plan import ReadBlock


class SerialLink:
    """A serial port.  A cancelled read ends in the thread, before the next one begins."""

    is_guarded = True
    floor_s = 0.1  # a false timeout costs the slot: silence is not asked again

    def __init__(
        self, device: str, wire: Wire, timeout_s: float, rs485: Rs485 | None = None
    ) -> None:
        self.timeout_s = timeout_s
        self.stats = LinkStats()
        self._wire = wire
        self._line = SerialLine(device, wire, rs485)
        self._thread: ThreadPoolExecutor | None = None

    @property
    def is_open(self) -> bool:
        """Say whether a request can be sent now."""
        return self._line.is_open

    @property
    def took_s(self) -> float:
        """Give the newest answer's time."""
        return self._line.took_s

    def answer_wire_s(self, count: int) -> float:
        """Give the time an answer takes at this speed."""
        return rtu_length(count) * self._wire.character_s

    async def open(self) -> None:
        """Open the port; DeviceError(REFUSED) says why that fails."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="modbus-rtu")
        await asyncio.get_running_loop().run_in_executor(self._thread, self._line.open)

    async def exchange(
        self, unit: int, block: ReadBlock, pause_s: float, wait_s: float, *, again: bool
    ) -> Answer:
        """Ask once, in the line's thread."""
        loop, line = asyncio.get_running_loop(), self._line
        answer = await loop.run_in_executor(
            self._thread, line.exchange, unit, block, pause_s, wait_s
        )
        self.stats.lost_s += line.drained_s
        return answer

    async def close(self) -> None:
        """Close the port and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._line.close)
            thread.shutdown(wait=False)
