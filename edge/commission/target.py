"""Target: which line, which unit, which profile a commissioning command speaks to."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from contract.errors import ConfigError, Problem
from edge.agent import read_config
from edge.commission.ports import lasting_name
from edge.config import AgentConfig, Connection, ModbusRtu, ModbusRtuTcp, ModbusTcp
from edge.decode import Source
from edge.profile import DeviceProfile, find_profile, known_refs

BY_ID, DEV = "/dev/serial/by-id/", "/dev/"
LINE = "(命令行 command line)"
_NOT_NEEDED_YET = re.compile(r"(push|copies\.\d+)\.(token|ca)_file|outbox\.path")


@dataclass(frozen=True, slots=True)
class Target:
    """One device to be commissioned; `profile` is None where it is not known yet."""

    name: str
    connection: Connection
    unit: int
    source: Source
    profile: DeviceProfile | None = None


def wrong(key: str, expected: str, got: object, fix: str) -> ConfigError:
    """Give the error of an argument."""
    return ConfigError([Problem(LINE, key, expected, str(got), fix)])


def tcp_connection(text: str, timeout_s: float, *, rtu: bool) -> ModbusTcp | ModbusRtuTcp:
    """Give the connection of HOST[:PORT]; RTU frames need a port.  ConfigError."""
    key = "--rtu-tcp" if rtu else "--tcp"
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host, port = port, "" if rtu else "502"
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        shape = "HOST:PORT" if rtu else "HOST[:PORT]"
        raise wrong(key, shape, text, f"{key} 192.168.1.20:502")
    if rtu:
        return ModbusRtuTcp(
            id="gw1", driver="modbus-rtu-tcp", host=host, port=int(port), timeout_s=timeout_s
        )
    return ModbusTcp(id="tcp1", driver="modbus-tcp", host=host, port=int(port), timeout_s=timeout_s)


def serial_connection(
    device: str, baud: int, parity: Any, stopbits: Any, timeout_s: float, name: str = "bus1"
) -> ModbusRtu:
    """Give the connection of a serial port, by its lasting name where it has one.

    A port without one is good enough for a laptop; agent.yaml will not take it.
    """
    return ModbusRtu.model_construct(
        id=name,
        driver="modbus-rtu",
        device=lasting_name(device),
        baud=baud,
        parity=parity,
        stopbits=stopbits,
        timeout_s=timeout_s,
    )


def commissioning_config(path: Path) -> AgentConfig:
    """Read agent.yaml as `check` does, but without the token and folders a Pi will have later."""
    try:
        return read_config(path)
    except ConfigError as error:
        if any(not _NOT_NEEDED_YET.fullmatch(p.key) for p in error.problems):
            raise
    raw = yaml.safe_load(path.read_text("utf-8"))
    return AgentConfig.model_validate(raw, context={"profiles": known_refs()})


def configured_target(path: Path, device_id: str | None) -> Target:
    """Give a device of agent.yaml; the only one when none is named.  ConfigError."""
    config = commissioning_config(path)
    known = {d.id: d for d in config.devices}
    if device_id is None and len(known) == 1:
        device_id = next(iter(known))
    if device_id is None or device_id not in known:
        raise wrong("--device", ", ".join(known), device_id or "nothing", "--device ID")
    device = known[device_id]
    connection = next(c for c in config.connections if c.id == device.connection)
    source = Source(
        config.site, device.id, Fraction(str(device.ct_ratio)), Fraction(str(device.pt_ratio))
    )
    return Target(device.id, connection, device.unit, source, find_profile(device.profile))


def same_place(connection: Connection) -> str:
    """Give a line as people know it: the port's settings, or host and port."""
    if isinstance(connection, ModbusRtu):
        form = f"{connection.baud} 8{connection.parity}{connection.stopbits}"
        return f"{connection.device.removeprefix(BY_ID).removeprefix(DEV)} {form}"
    if isinstance(connection, ModbusTcp | ModbusRtuTcp):
        kind = "TCP" if isinstance(connection, ModbusTcp) else "RTU/TCP"
        return f"{kind} {connection.host}:{connection.port}"
    return connection.url


def ratio(key: str, text: str | None) -> Fraction:
    """Read a ratio: "40", "200/5", nothing for 1.  ConfigError."""
    try:
        value = Fraction(text or "1")
    except (ValueError, ZeroDivisionError) as error:
        raise wrong(key, "40 或 or 200/5", text, f"{key} 200/5") from error
    if not 0 < value <= 100_000:
        raise wrong(key, "0 < K <= 100000", text, f"{key} 200/5")
    return value
