"""RTU frames over TCP, to a serial server that passes them through.

No transaction id: whatever is odd closes the connection, and the next one is opened only when a
late answer would have come, because a serial server gives it to whoever is connected then.
"""

import asyncio
import select
from collections.abc import Awaitable

from edge.drivers.frames import judge_rtu, rtu_due, rtu_request
from edge.drivers.link import Answer, Kind, damaged, lost
from edge.drivers.protocol import LinkStats
from edge.drivers.stream import Stream, StreamLink
from edge.plan import ReadBlock

DRAIN = 1.5  # waits, from the last byte asked, after which a silent unit leaves the line to others
SETTLE_S = 0.004  # before asking the same shape again: time for a doubled answer to show itself


class RtuOverTcpLink(StreamLink["RtuStream"]):
    """A serial server in transparent mode.  It connects once no late answer is under way; anything
    but a clean answer (an exception is one) closes the connection.
    """

    is_guarded = True
    floor_s = 0.3  # what gateways are known to need; a false timeout costs a new connection

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        super().__init__(RtuStream, host, port, timeout_s)
        self._shape = (0, 0, 0)
        self._clean_at_s = 0.0

    async def open(self) -> None:
        """Connect after the drain; DeviceError(REFUSED) says why that fails."""
        await self.close()
        drain_s = self._clean_at_s - asyncio.get_running_loop().time()
        if drain_s > 0:
            self.stats.lost_s += drain_s
            await asyncio.sleep(drain_s)
        await super().open()

    async def exchange(
        self, unit: int, block: ReadBlock, pause_s: float, wait_s: float, *, again: bool
    ) -> Answer:
        """Ask once; the same shape as before only after SETTLE_S."""
        shape = (unit, block.function, block.count)
        if shape == self._shape:
            pause_s = max(pause_s, SETTLE_S)
        self._shape = shape
        return await super().exchange(unit, block, pause_s, wait_s, again=again)

    async def _ask(
        self, stream: "RtuStream", unit: int, block: ReadBlock, wait_s: float, *, again: bool
    ) -> Answer:
        if stream.has_unasked():
            await self.close()
            return lost("bytes that nobody asked for")
        asked_s = stream.now()
        self._clean_at_s = asked_s + DRAIN * wait_s  # stands if we are cancelled
        clean = False
        try:
            answer = await stream.ask_for(unit, block, wait_s)
            clean = isinstance(answer, tuple) or answer.kind is Kind.EXCEPTION
        finally:
            if not clean:
                await self.close()
        if clean:
            self._clean_at_s = 0.0
        elif not isinstance(answer, tuple) and answer.kind is Kind.DAMAGED:
            self._clean_at_s = asked_s + wait_s
        return answer


class RtuStream(Stream):
    """A stream on which one RTU answer follows each request, and nothing else."""

    def __init__(self, stats: LinkStats) -> None:
        super().__init__(stats)
        self._unit = 0
        self._block = ReadBlock(3, 0, 0, ())
        self._rest = b""
        self._is_dirty = False
        self._poll = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket, to see what has come before the loop hands it over."""
        super().connection_made(transport)
        self._poll.register(transport.get_extra_info("socket"), select.POLLIN)

    def has_unasked(self) -> bool:
        """Say whether bytes came, or wait in the kernel, that answer nothing."""
        return self._is_dirty or bool(self._poll.poll(0))

    def ask_for(self, unit: int, block: ReadBlock, wait_s: float) -> Awaitable[Answer]:
        """Ask a unit for a block."""
        self._unit, self._block, self._rest = unit, block, b""
        request = rtu_request(unit, block.function, block.address, block.count)
        return self.ask(request, wait_s)

    def data_received(self, data: bytes) -> None:
        """Collect the answer; its length is known from the request."""
        if not self.is_asked:
            self._is_dirty = True
            return
        self._rest += data
        if len(self._rest) >= rtu_due(self._rest, self._block.count):
            self.settle(judge_rtu(self._rest, self._unit, self._block))

    def overdue(self) -> Answer:
        """Give what the bytes that came are, if any came."""
        if not self._rest:
            return super().overdue()
        answer = judge_rtu(self._rest, self._unit, self._block)
        return damaged("too late to be sure of") if isinstance(answer, tuple) else answer
