"""Serves any device profile over Modbus TCP, RTU-over-TCP and serial RTU.

Registers are filled by simulators/encoding.py, which shares nothing with the edge's decoder.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from contract.clock import Clock
from edge.profile import DeviceProfile, find_profile
from simulators.devices import Device, Fault
from simulators.encoding import Written, encode, encode_auxiliary, usual
from simulators.ports import free_port

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

SLOW_S = 3.0
_NOISE = bytes.fromhex("c3aa0055fe817fe0")


@dataclass(frozen=True, slots=True)
class Served:
    """A device at a unit id of a line."""

    unit: int
    device: Device


def registers(profile: DeviceProfile) -> list[SimData]:
    """Give the register spans of a profile; undefined addresses answer exception 02.

    Where the profile says that gaps may be read, they exist and hold zero.
    """
    points = sorted((*profile.points, *profile.auxiliary), key=lambda p: p.address)
    spans: list[list[int]] = []
    for point in points:
        if spans and point.address - spans[-1][1] <= profile.limits.max_gap:
            spans[-1][1] = max(spans[-1][1], point.end)
        else:
            spans.append([point.address, point.end])
    return [
        SimData(a, values=[0] * (b - a), datatype=DataType.REGISTERS, readonly=True)
        for a, b in spans
    ]


def sim_device(served: Served, clock: Clock) -> SimDevice:
    """Give the pymodbus device that fills its registers at the moment it is asked."""
    device, profile = served.device, find_profile(served.device.profile)

    async def action(
        _function: int,
        start: int,
        address: int,
        count: int,
        held: list[int],
        _written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        kind = device.fault.kind
        if kind is Fault.SLOW:
            await asyncio.sleep(SLOW_S)
        if kind is Fault.EXCEPTION:
            return ExcCodes.DEVICE_BUSY
        for at, word, bits in _contents(device, profile, clock.now_ms(), address, count):
            held[at - start] = held[at - start] & ~bits | word
        if kind is not Fault.SILENT:
            device.polls += 1
        return None

    return SimDevice(served.unit, registers(profile), action=action)


def _contents(
    device: Device, profile: DeviceProfile, now_ms: int, address: int, count: int
) -> Iterator[Written]:
    """Give what the registers of a request hold at this moment."""
    values, ct, pt = device.values(now_ms), device.ct_ratio, device.pt_ratio
    names = {a.measurand: usual(a, ct, pt) for a in profile.auxiliary} | device.auxiliary
    for point in (*profile.points, *profile.auxiliary):
        if not (point.address < address + count and address < point.end):
            continue
        if point.auxiliary:
            yield from encode_auxiliary(point, names[point.measurand])
        else:
            yield from encode(point, values[point.measurand], ct, pt, names)


def tracer(line: Sequence[Served], unit_at: int) -> Callable[[bool, bytes], bytes]:
    """Give the packet hook that swallows or spoils the answers of faulty units."""
    by_unit = {s.unit: s.device for s in line}

    def trace(sending: bool, packet: bytes) -> bytes:
        device = by_unit.get(packet[unit_at]) if sending and len(packet) > unit_at else None
        if device is None or device.fault.kind not in {Fault.SILENT, Fault.GARBAGE}:
            return packet
        return b"" if device.fault.kind is Fault.SILENT else _NOISE

    return trace


async def serve_tcp(
    line: Sequence[Served], clock: Clock, *, rtu: bool = False
) -> tuple[ModbusTcpServer, int]:
    """Serve a line over TCP on a free loopback port; give the server and its port."""
    port = free_port()
    server = ModbusTcpServer(
        [sim_device(s, clock) for s in line],
        framer=FramerType.RTU if rtu else FramerType.SOCKET,
        address=("127.0.0.1", port),
        trace_packet=tracer(line, 0 if rtu else 6),
    )
    await server.serve_forever(background=True)
    return server, port


async def serve_serial(
    line: Sequence[Served], clock: Clock, device: str, baud: int
) -> ModbusSerialServer:
    """Serve a line on a serial device (a pty will do)."""
    server = ModbusSerialServer(
        [sim_device(s, clock) for s in line],
        framer=FramerType.RTU,
        port=device,
        baudrate=baud,
        bytesize=8,
        parity="N",
        stopbits=1,
        trace_packet=tracer(line, 0),
    )
    await server.serve_forever(background=True)
    return server
