"""Lines to put into service: real ptys and sockets, devices whose values a test chooses.

A unit that is not on the line is silent, as on a real bus.  A serial line knows its devices'
speed: the termios speed of the end a master opened decides whether bytes arrive whole.
"""

import asyncio
import os
import select
import termios
import threading
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pymodbus import FramerType
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from contract.clock import SystemClock
from edge.profile import find_profile
from simulators.devices import Device
from simulators.modbus_server import Served, sim_device
from simulators.ports import free_port

SPEEDS = {
    termios.B1200: 1200, termios.B2400: 2400, termios.B4800: 4800, termios.B9600: 9600,
    termios.B19200: 19_200, termios.B38400: 38_400,
}  # fmt: skip
NOISE = bytes((0xE0, 0x1F, 0xFE, 0x80, 0x66, 0x78))  # what a frame at another speed looks like

HEALTHY: Mapping[str, float] = {
    "voltage_l1_v": 231.2, "voltage_l2_v": 229.8, "voltage_l3_v": 230.4,
    "current_l1_a": 21.5, "current_l2_a": 20.1, "current_l3_a": 18.9,
    "power_l1_kw": 4.72, "power_l2_kw": 4.39, "power_l3_kw": 4.14, "power_kw": 13.25,
    "apparent_power_kva": 13.944, "reactive_power_kvar": 4.34, "power_factor": 0.95,
    "power_factor_l1": 0.95, "power_factor_l2": 0.95, "power_factor_l3": 0.95,
    "frequency_hz": 50.01, "energy_import_kwh": 18_423.5, "energy_export_kwh": 0.0,
    "energy_total_kwh": 18_423.5, "reactive_energy_import_kvarh": 5120.0,
    "reactive_energy_export_kvarh": 0.0, "demand_kw": 13.0, "current_neutral_a": 1.2,
    "volume_m3": 3521.75, "volume_reverse_m3": 0.0, "flow_m3_per_h": 1.25, "pipe_state": 170.0,
    "water_pressure_mpa": 0.32, "water_temperature_c": 18.0,
    "temperature_c": 24.5, "humidity_percent": 61.0,
}  # fmt: skip


def meter(profile: str, ct_ratio: int = 1, **changed: float) -> Device:
    """Give a device in good order; `changed` are values that differ."""
    offered = {p.measurand: 1.0 for p in find_profile(profile).points}
    values = {**offered, **HEALTHY, **changed}
    return Device("d", profile, lambda _: values, ct_ratio=ct_ratio)


def reversed_a(profile: str, ct_ratio: int = 1) -> Device:
    """Give a device whose phase A transformer is turned round."""
    return meter(profile, ct_ratio, power_l1_kw=-4.72, power_kw=3.81, power_factor=0.2733)


@dataclass
class Bus:
    """A serial line between a master and devices of one speed, bytes counted both ways.

    deaf: devices at another speed hear nothing, as most do; else their answers come as noise.
    """

    baud: int
    units: tuple[int, ...]
    deaf: bool = True
    garbled: int = 0
    asked: set[int] = field(default_factory=set)
    _fds: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._device, self.device_end = self._pty()
        self._master, self.master_end = self._pty()

    def _pty(self) -> tuple[int, str]:
        near, far = os.openpty()
        tty.setraw(near)
        tty.setraw(far)
        self._fds += [near, far]
        return near, os.ttyname(far)

    @property
    def master_speed(self) -> int:
        """Give the speed the master has set on its end."""
        return SPEEDS[termios.tcgetattr(self._fds[3])[5]]

    def pump(self) -> None:
        while not self._stop.is_set():
            ready = select.select([self._master, self._device], [], [], 0.1)[0]
            for source in ready:
                chunk = os.read(source, 512)
                if source == self._master:
                    self._request(chunk)
                else:
                    os.write(self._master, chunk)

    def _request(self, chunk: bytes) -> None:
        self.asked.add(chunk[0])
        if self.master_speed == self.baud:
            if chunk[0] in self.units:  # nobody else is on the line to answer
                os.write(self._device, chunk)
        elif not self.deaf:
            self.garbled += 1
            os.write(self._master, NOISE)

    def close(self) -> None:
        self._stop.set()
        for fd in self._fds:
            os.close(fd)


@contextmanager
def bus(baud: int, units: tuple[int, ...], *, deaf: bool = True) -> Iterator[Bus]:
    line = Bus(baud, units, deaf)
    pump = threading.Thread(target=line.pump, daemon=True)
    pump.start()
    try:
        yield line
    finally:
        line._stop.set()
        pump.join()
        line.close()


class Background:
    """An event loop of its own thread, where servers live while a command runs in the test's."""

    def __enter__(self) -> "Background":
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)


@contextmanager
def serial_devices(baud: int, devices: Mapping[int, Device], *, deaf: bool = True) -> Iterator[Bus]:
    """Serve devices on a serial line; give the line."""
    with bus(baud, tuple(devices), deaf=deaf) as line, Background() as loop:
        rows = _sim_devices(devices)

        async def start() -> ModbusSerialServer:
            server = ModbusSerialServer(
                rows, framer=FramerType.RTU, port=line.device_end, baudrate=baud
            )
            await server.serve_forever(background=True)
            return server

        server = loop.run(start())
        try:
            yield line
        finally:
            loop.run(server.shutdown())


def _sim_devices(devices: Mapping[int, Device]) -> list[SimDevice]:
    return [sim_device(Served(u, d), SystemClock()) for u, d in devices.items()]


@contextmanager
def tcp_devices(
    devices: Mapping[int, Device] | None = None, raw: SimDevice | None = None
) -> Iterator[str]:
    """Serve devices (and one raw device) over Modbus TCP; give HOST:PORT."""
    rows = [*_sim_devices(devices or {}), *([raw] if raw else [])]
    address = ("127.0.0.1", free_port())

    async def start() -> ModbusTcpServer:
        server = ModbusTcpServer(rows, framer=FramerType.SOCKET, address=address)
        await server.serve_forever(background=True)
        return server

    with Background() as loop:
        server = loop.run(start())
        try:
            yield f"{address[0]}:{address[1]}"
        finally:
            loop.run(server.shutdown())


def raw_device(unit: int, words: Mapping[int, int], spans: list[tuple[int, int]]) -> SimDevice:
    """Give a device that holds words at addresses, zero elsewhere in its spans."""
    blocks = [
        SimData(
            first, values=[words.get(a, 0) for a in range(first, end)],
            datatype=DataType.REGISTERS, readonly=True,
        )
        for first, end in spans
    ]  # fmt: skip
    return SimDevice(unit, blocks)


def swapped(address: int, value: float) -> dict[int, int]:
    """Give the registers of a float as a device with the low word first holds it."""
    words: list[int] = ModbusClientMixin.convert_to_registers(
        value, ModbusClientMixin.DATATYPE.FLOAT32, word_order="little"
    )
    return dict(enumerate(words, address))
