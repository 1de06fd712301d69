"""Modbus over TCP, RTU-over-TCP and serial RTU, by pymodbus behind a transaction guard.

On Modbus TCP the library's retries are safe: each answer carries its transaction id.  On RTU it
does not: a late answer would be taken for the next one's.  So the guard allows one transaction
at a time, marks the link dirty before each request, and a link left dirty (timeout, short or
foreign answer, cancelled read) is waited out and opened anew before it is used again.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.exceptions import ConnectionException
from pymodbus.pdu import ModbusPDU

from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.protocol import LinkStats
from edge.plan import RawBlock, ReadBlock

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # its errors are ours to report

ILLEGAL_ADDRESS = 2
FAST_LINE_BAUD = 19_200
FAST_LINE_GAP_S = 0.00175  # the Modbus serial line guide fixes t3.5 above 19200 baud
REOPEN_FIRST_S, REOPEN_MAX_S = 0.2, 30.0


@dataclass(frozen=True, slots=True)
class Link:
    """How to make a client, and what its line needs.

    make:    builds a client (inside the running loop)
    guarded: no transaction id on the wire, so a dirty link is waited out and re-opened
    gap_s:   silence between frames (t3.5 on a serial line)
    drain_s: how long a late answer may still be under way
    """

    make: Callable[[], ModbusBaseClient]
    guarded: bool
    gap_s: float = 0.0
    drain_s: float = 0.0


def silence_s(baud: int, bits: int = 11) -> float:
    """Give t3.5, the silence between two RTU frames, in seconds."""
    return FAST_LINE_GAP_S if baud > FAST_LINE_BAUD else 3.5 * bits / baud


def tcp_link(host: str, port: int, timeout_s: float) -> Link:
    """Give a Modbus TCP link: one library retry, with the same transaction id."""

    def make() -> ModbusBaseClient:
        client = AsyncModbusTcpClient(
            host, port=port, timeout=timeout_s, retries=1, reconnect_delay=0
        )
        client.set_max_no_responses(1_000_000)  # closing over one silent unit would hurt the rest
        return client

    return Link(make, guarded=False)


def rtu_over_tcp_link(host: str, port: int, timeout_s: float) -> Link:
    """Give a link to a serial server that passes RTU frames through."""

    def make() -> ModbusBaseClient:
        return AsyncModbusTcpClient(
            host,
            port=port,
            framer=FramerType.RTU,
            timeout=timeout_s,
            retries=0,
            reconnect_delay=0,
        )

    return Link(make, guarded=True)  # a new socket needs no drain


def rtu_link(device: str, baud: int, parity: str, stopbits: int, timeout_s: float) -> Link:
    """Give a serial RTU link."""

    def make() -> ModbusBaseClient:
        return AsyncModbusSerialClient(
            device,
            baudrate=baud,
            parity=parity,
            stopbits=stopbits,
            timeout=timeout_s,
            retries=0,
            reconnect_delay=0,
        )

    return Link(make, guarded=True, gap_s=silence_s(baud), drain_s=timeout_s)


class ModbusDriver:
    """One Modbus connection."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.stats = LinkStats()
        self._client: ModbusBaseClient | None = None
        self._dirty = False
        self._quiet_since_s = 0.0
        self._reopen_s = REOPEN_FIRST_S
        self._reopen_at_s = 0.0

    async def read(
        self, unit: int, block: ReadBlock, pause_s: float = 0.0, timeout_s: float | None = None
    ) -> RawBlock:
        """Read one block of registers; DeviceError with the reason when that fails."""
        await self._make_clean()
        client = await self._connected()
        await self._keep_silence(max(self._link.gap_s, pause_s))
        self._dirty = self._link.guarded
        try:
            answer = await self._request(client, unit, block)
        except ConnectionException as error:
            await self.close()
            raise DeviceError(Reason.REFUSED, str(error)) from error
        except ModbusException as error:
            raise DeviceError(Reason.TIMEOUT, str(error)) from error
        finally:
            self._quiet_since_s = asyncio.get_running_loop().time()
        words = _checked(answer, unit, block)
        self._dirty = False
        if isinstance(words, DeviceError):
            raise words
        return RawBlock(block, words)

    async def _request(self, client: ModbusBaseClient, unit: int, block: ReadBlock) -> ModbusPDU:
        ask = client.read_input_registers if block.function == 4 else client.read_holding_registers
        answer: ModbusPDU = await ask(block.address, count=block.count, device_id=unit)
        return answer

    async def close(self) -> None:
        """Close the link."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _make_clean(self) -> None:
        if self._dirty:  # an answer may still be under way: it must not meet the next request
            await asyncio.sleep(self._link.drain_s)
            await self.close()
            self._dirty = False

    async def _keep_silence(self, gap_s: float) -> None:
        wait_s = self._quiet_since_s + gap_s - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _connected(self) -> ModbusBaseClient:
        if self._client is not None and self._client.connected:
            return self._client
        await self.close()
        now_s = asyncio.get_running_loop().time()
        if now_s < self._reopen_at_s:
            raise DeviceError(Reason.REFUSED, "link is down; waiting before opening it again")
        client = self._link.make()
        if not await client.connect():
            client.close()
            self._reopen_at_s = now_s + self._reopen_s * random.uniform(0.8, 1.2)
            self._reopen_s = min(self._reopen_s * 2, REOPEN_MAX_S)
            raise DeviceError(Reason.REFUSED, "link could not be opened")
        self._reopen_s = REOPEN_FIRST_S
        self._client = client
        return client


def _checked(answer: ModbusPDU, unit: int, block: ReadBlock) -> tuple[int, ...] | DeviceError:
    """Give the words, or the device's own exception; raise when the answer is another's."""
    if answer.dev_id != unit or answer.function_code & 0x7F != block.function:
        raise DeviceError(Reason.PROTOCOL, f"answer of unit {answer.dev_id} to unit {unit}")
    if answer.isError():
        code = getattr(answer, "exception_code", 0)
        reason = Reason.ILLEGAL_ADDRESS if code == ILLEGAL_ADDRESS else Reason.DEVICE_EXCEPTION
        return DeviceError(reason, f"exception {code} at {block.address:#06x}")
    if len(answer.registers) != block.count:
        got = f"{len(answer.registers)} of {block.count} registers"
        raise DeviceError(Reason.PROTOCOL, got)
    return tuple(answer.registers)
