"""The Modbus driver: one question at a time, asked once more where that is safe.

What keeps a wrong register away:
- Modbus TCP: the transaction id.  A question without an answer is sent again under the same id.
- RTU, serial or over TCP: time.  A silent unit leaves the line to others after its drain, and is
  not asked again itself before the latest answer it could still give; a broken frame is read
  away, then the question is asked once more; a frame of another shape or unit is refused.
pymodbus builds the requests (frames.py); transactions, framing and timing are ours, because its
RTU client takes late answers for the next question's and keeps no silence between frames.
"""

import asyncio
import random
import time

from contract.errors import DeviceError
from contract.reading import Reason
from edge.config import Rs485
from edge.drivers.link import Answer, Failure, Kind, Link
from edge.drivers.patience import Patience
from edge.drivers.rtu_tcp import RtuOverTcpLink
from edge.drivers.serial_rtu import SerialLink
from edge.drivers.tcp import TcpLink
from edge.drivers.wire import Parity, Wire, silence_s
from edge.plan import RawBlock, ReadBlock

__all__ = ["ModbusDriver", "rtu_link", "rtu_over_tcp_link", "silence_s", "tcp_link"]

REOPEN_FIRST_S, REOPEN_MAX_S = 0.2, 30.0
LATEST = 3.0  # ceilings, beyond the wait itself, in which an RTU unit may still answer late
_now = time.monotonic  # the loop's time, which to ask the loop for costs a system call


def tcp_link(host: str, port: int, timeout_s: float) -> TcpLink:
    """Give a Modbus TCP link."""
    return TcpLink(host, port, timeout_s)


def rtu_over_tcp_link(host: str, port: int, timeout_s: float) -> RtuOverTcpLink:
    """Give a link to a serial server that passes RTU frames through."""
    return RtuOverTcpLink(host, port, timeout_s)


def rtu_link(
    device: str,
    baud: int,
    parity: Parity,
    stopbits: int,
    timeout_s: float,
    gap_s: float = 0.0,
    rs485: Rs485 | None = None,
) -> SerialLink:
    """Give a serial RTU link; gap_s is silence that is wanted beyond t3.5."""
    return SerialLink(device, Wire(baud, parity, stopbits, gap_s), timeout_s, rs485)


class ModbusDriver:
    """One Modbus connection."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.stats = link.stats
        self._patience = Patience(link.floor_s)
        self._one_at_a_time = asyncio.Lock()
        self._forgotten_at_s: dict[int, float] = {}  # when a guarded unit may be asked again
        self._reopen_s = 0.0
        self._reopen_at_s = 0.0
        self._was_open = False

    async def read(
        self, unit: int, block: ReadBlock, pause_s: float = 0.0, timeout_s: float | None = None
    ) -> RawBlock:
        """Read one block of registers; DeviceError with the reason when that fails."""
        most_s = self.link.timeout_s
        ceiling_s = most_s if timeout_s is None or timeout_s > most_s else timeout_s
        await self._one_at_a_time.acquire()  # two coroutines fewer than `async with`, a read each
        try:
            answer = await self._asked(unit, block, pause_s, ceiling_s)
            if not isinstance(answer, tuple) and self._helps_again(answer):
                self.stats.retries += 1
                answer = await self._asked(unit, block, pause_s, ceiling_s, again=True)
        finally:
            self._one_at_a_time.release()
        if isinstance(answer, tuple):
            return RawBlock(block, answer)
        raise DeviceError(answer.reason, answer.detail)

    async def close(self) -> None:
        """Close the link."""
        await self.link.close()

    def _helps_again(self, failure: Failure) -> bool:
        if failure.kind is Kind.SILENT:
            return not self.link.is_guarded
        return failure.kind in {Kind.DAMAGED, Kind.LOST}

    async def _asked(
        self, unit: int, block: ReadBlock, pause_s: float, ceiling_s: float, *, again: bool = False
    ) -> Answer:
        link = self.link
        if unit in self._forgotten_at_s:
            late_s = max(self._forgotten_at_s[unit] - _now(), 0.0)
            self.stats.lost_s += late_s
            await asyncio.sleep(late_s)
            del self._forgotten_at_s[unit]
        if not link.is_open:
            refused = await self._opened()
            if refused is not None:
                return refused
        wire_s = link.answer_wire_s(block.count)
        wait_s = self._patience.wait_s(unit, ceiling_s, wire_s)
        self.stats.requests += 1
        began_s, lost_s = _now(), self.stats.lost_s
        try:
            answer = await link.exchange(unit, block, pause_s, wait_s, again=again)
        except asyncio.CancelledError:
            if link.is_guarded:
                self._forgotten_at_s[unit] = _now() + LATEST * max(ceiling_s, wait_s)
            raise
        spent_s = _now() - began_s - (self.stats.lost_s - lost_s)  # without a drain
        if isinstance(answer, tuple):
            self._count_heard(unit, spent_s, wire_s)
        else:
            self._count_failure(unit, answer, spent_s)
            if link.is_guarded and answer.kind in {Kind.SILENT, Kind.FOREIGN}:
                self._forgotten_at_s[unit] = _now() + LATEST * max(ceiling_s, wait_s)
        return answer

    def _count_heard(self, unit: int, spent_s: float, wire_s: float) -> None:
        stats, took_s = self.stats, self.link.took_s
        stats.busy_s += spent_s
        stats.latencies_s.append(took_s)
        self._patience.heard(unit, took_s - wire_s)
        self._reopen_s = 0.0

    def _count_failure(self, unit: int, failure: Failure, spent_s: float) -> None:
        stats = self.stats
        match failure.kind:
            case Kind.EXCEPTION:
                stats.exceptions += 1
                self._count_heard(unit, spent_s, 0.0)
                return
            case Kind.SILENT:
                stats.timeouts += 1
                self._patience.silent(unit)
            case Kind.DAMAGED:
                stats.crc_errors += 1
            case Kind.FOREIGN:
                stats.foreign += 1
            case Kind.LOST | Kind.CLOSED:
                self._back_off()
        stats.lost_s += spent_s

    async def _opened(self) -> Failure | None:
        """Open the link unless it is too early to try again; give what is in the way."""
        wait_s = self._reopen_at_s - _now()
        if wait_s > 0:
            detail = f"the link is down; it is opened again in {wait_s:.1f} s at the earliest"
            return Failure(Kind.CLOSED, Reason.REFUSED, detail)
        try:
            await self.link.open()
        except DeviceError as error:
            self._back_off()
            return Failure(Kind.CLOSED, error.reason, error.detail)
        self.stats.reopened += self._was_open
        self._was_open = True
        return None

    def _back_off(self) -> None:
        """Wait longer with every opening that led to no answer; not at all after the first loss."""
        self._reopen_at_s = _now() + self._reopen_s * random.uniform(0.8, 1.2)
        self._reopen_s = min(max(self._reopen_s * 2, REOPEN_FIRST_S), REOPEN_MAX_S)
