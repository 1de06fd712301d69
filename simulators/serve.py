"""The compound on real protocols: four Modbus TCP gateways, two serial servers, a serial line,
two OPC UA gates; three agents' worth of configuration.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from contract.clock import Clock, SystemClock
from simulators.compound import Compound
from simulators.devices import DeviceSet
from simulators.layout import PLACES, THERMOMETER, SimMeter, meters
from simulators.modbus_server import Served, serve_serial, serve_tcp
from simulators.opcua_server import GateServer
from simulators.pty_line import PtyLine
from simulators.site_files import write_agent, write_site

TCP_LINES, RTU_TCP_LINES, SERIAL_METERS, RTU_TCP_METERS = 4, 2, 4, 14
BAUD = 9600


@dataclass(slots=True)
class Line:
    """One connection as an agent sees it, and the devices on it."""

    agent: str
    connection: dict[str, Any]
    devices: list[dict[str, Any]]


@dataclass(slots=True)
class SimulatedSite:
    """Serves every device of a compound while the context is open."""

    compound: Compound
    clock: Clock = field(default_factory=SystemClock)
    lines: list[Line] = field(default_factory=list)
    devices: DeviceSet = field(init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.devices = DeviceSet(self.compound)

    async def __aenter__(self) -> "SimulatedSite":
        """Start every server."""
        all_meters = meters()
        electric = [m for m in all_meters if m.carrier == "electricity"]
        water = [m for m in all_meters if m.carrier == "water"]
        serial, rest = electric[-SERIAL_METERS:], electric[:-SERIAL_METERS]
        over_tcp, direct = rest[-RTU_TCP_METERS + 4 :], rest[: -RTU_TCP_METERS + 4]
        for i in range(TCP_LINES):
            await self._tcp("a1", f"tcp{i + 1}", direct[i::TCP_LINES])
        for i in range(RTU_TCP_LINES):
            some = [*over_tcp[i::RTU_TCP_LINES], *water[i:4:RTU_TCP_LINES]]
            await self._tcp("a2", f"gw{i + 1}", some, rtu=True)
        await self._serial("a2", "bus1", serial)
        for number, place in enumerate((p for p in PLACES if p.gate), 1):
            await self._gate("a3", f"ua{number}", place.gate)
        await self._tcp("a3", "tcp5", water[4:], with_thermometer=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop every server."""
        await self._stack.aclose()

    def write_configs(
        self, folder: Path, server_url: str, token_file: Path, interval_s: int
    ) -> list[Path]:
        """Write site.yaml and the agents' files; give the agents' paths."""
        folder.mkdir(parents=True, exist_ok=True)
        write_site(folder)
        push = {"url": server_url, "token_file": str(token_file.resolve()), "interval_s": 1}
        out = []
        for agent in sorted({ln.agent for ln in self.lines}):
            mine = [ln for ln in self.lines if ln.agent == agent]
            devices = [d for ln in mine for d in ln.devices]
            connections = [ln.connection for ln in mine]
            out.append(write_agent(folder, agent, connections, devices, push, interval_s))
        return out

    async def _tcp(
        self,
        agent: str,
        name: str,
        some: Sequence[SimMeter],
        *,
        rtu: bool = False,
        with_thermometer: bool = False,
    ) -> None:
        rows = _rows(some, name)
        if with_thermometer:
            rows.append(_row(THERMOMETER, name, len(rows) + 1, "generic/xy-md02"))
        server, port = await serve_tcp(self._served(rows), self.clock, rtu=rtu)
        self._stack.push_async_callback(server.shutdown)
        driver = "modbus-rtu-tcp" if rtu else "modbus-tcp"
        connection = {"id": name, "driver": driver, "host": "127.0.0.1", "port": port}
        self.lines.append(Line(agent, {**connection, "timeout_s": 0.5}, rows))

    async def _serial(self, agent: str, name: str, some: Sequence[SimMeter]) -> None:
        line = self._stack.enter_context(PtyLine(BAUD))
        rows = _rows(some, name)
        server = await serve_serial(self._served(rows), self.clock, line.device_end, BAUD)
        self._stack.push_async_callback(server.shutdown)
        connection = {"id": name, "driver": "modbus-rtu", "device": line.master_end, "baud": BAUD}
        self.lines.append(Line(agent, {**connection, "timeout_s": 0.6}, rows))

    async def _gate(self, agent: str, name: str, gate: str) -> None:
        server = GateServer(self.devices.devices[gate], self.clock)
        await server.start()
        self._stack.push_async_callback(server.stop)
        row = {"id": gate, "connection": name, "profile": "generic/opcua-gate"}
        self.lines.append(Line(agent, {"id": name, "driver": "opcua", "url": server.url}, [row]))

    def _served(self, rows: Sequence[dict[str, Any]]) -> list[Served]:
        return [Served(r["unit"], self.devices.devices[r["id"]]) for r in rows]


def _row(device: str, connection: str, unit: int, profile: str) -> dict[str, Any]:
    return {"id": device, "connection": connection, "unit": unit, "profile": profile}


def _rows(some: Sequence[SimMeter], connection: str) -> list[dict[str, Any]]:
    out = []
    for unit, meter in enumerate(some, 1):
        row = _row(meter.id, connection, unit, meter.profile)
        if meter.ct_ratio != 1:
            row["ct_ratio"] = meter.ct_ratio
        out.append(row)
    return out
