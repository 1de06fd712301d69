"""Serves any device profile over Modbus TCP, RTU-over-TCP and serial RTU.

Words are encoded by pymodbus (and byte-swapped here where a profile says so), never by the
inverse of the edge's decoder, so that a symmetric mistake cannot hide.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pymodbus import FramerType
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from contract.clock import Clock
from edge.profile import Basis, DeviceProfile, PointSpec, find_profile
from simulators.devices import Device, Fault
from simulators.ports import free_port

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

SLOW_S = 3.0
_NOISE = bytes.fromhex("c3aa0055fe817fe0")
_TYPES = {
    "u16": "UINT16", "s16": "INT16", "u32": "UINT32", "s32": "INT32",
    "f32": "FLOAT32", "u64": "UINT64", "s64": "INT64", "f64": "FLOAT64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    """A device at a unit id of a line."""

    unit: int
    device: Device


def encode(point: PointSpec, value: float, ct_ratio: int = 1) -> list[int]:
    """Give the registers of a canonical value, as the device would hold it."""
    factor = point.factor
    if point.basis is Basis.SECONDARY and point.canonical_unit not in {"V", "1", "Hz"}:
        factor *= ct_ratio
    raw = value if factor == 1 else value * factor.denominator / factor.numerator
    kind = ModbusClientMixin.DATATYPE[_TYPES[point.type]]
    word_order: Literal["big", "little"] = "little" if point.order in {"CDAB", "DCBA"} else "big"
    number = raw if point.type.startswith("f") else round(Fraction(raw))
    words: list[int] = ModbusClientMixin.convert_to_registers(number, kind, word_order=word_order)
    if point.order in {"BADC", "DCBA"}:
        words = [(w & 0xFF) << 8 | w >> 8 for w in words]
    return words


def registers(profile: DeviceProfile) -> list[SimData]:
    """Give the register spans of a profile; undefined addresses answer exception 02.

    Where the profile says that gaps may be read, they exist and hold zero.
    """
    points = sorted(profile.points, key=lambda p: p.address)
    spans: list[list[int]] = []
    for point in points:
        if spans and point.address - spans[-1][1] <= profile.limits.max_gap:
            spans[-1][1] = point.end
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
        values = device.values(clock.now_ms())
        for point in profile.points:
            if point.address < address + count and address < point.end:
                words = encode(point, values[point.measurand], device.ct_ratio)
                held[point.address - start : point.end - start] = words
        if kind is not Fault.SILENT:
            device.polls += 1
        return None

    return SimDevice(served.unit, registers(profile), action=action)


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
