"""agent.yaml: what this agent reads and where it sends it.  Strict, all errors at once."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from contract.errors import ConfigError, Problem, problems_from

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
Port = Annotated[int, Field(ge=1, le=65535)]
Timeout = Annotated[float, Field(gt=0, le=60)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OutboxConfig(_Strict):
    """Where readings wait, and how many may."""

    path: Path
    max_bytes: Annotated[int, Field(ge=100_000)] = 500_000_000
    max_age_days: Annotated[float, Field(gt=0)] = 90


class PushConfig(_Strict):
    """Where readings go."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+(/.*)?$")]
    org: str = "compound"
    bucket: str = "energy"
    token_file: Path
    ca_file: Path | None = None
    interval_s: Annotated[float, Field(gt=0, le=3600)] = 10
    timeout_s: Timeout = 10
    batch_bytes: Annotated[int, Field(ge=1000, le=20_000_000)] = 400_000


class Intervals(_Strict):
    """Seconds between two reads of a point, by its pace; each a multiple of the shortest."""

    fast: Annotated[float, Field(ge=0.1, le=3600)]
    normal: Annotated[float, Field(ge=0.1, le=3600)]
    slow: Annotated[float, Field(ge=0.1, le=86_400)]


class Rs485(_Strict):
    """How a serial port turns its transceiver round, where the adapter does not do it itself."""

    rts_on_send: bool = True
    delay_before_ms: Annotated[float, Field(ge=0, le=100)] = 0
    delay_after_ms: Annotated[float, Field(ge=0, le=100)] = 0


class ModbusTcp(_Strict):
    """Modbus TCP (MBAP) to a meter or gateway."""

    id: Name
    driver: Literal["modbus-tcp"]
    host: str
    port: Port = 502
    timeout_s: Timeout = 1.0


class ModbusRtuTcp(_Strict):
    """RTU frames through a serial server."""

    id: Name
    driver: Literal["modbus-rtu-tcp"]
    host: str
    port: Port
    timeout_s: Timeout = 1.0


class ModbusRtu(_Strict):
    """RTU on a serial line."""

    id: Name
    driver: Literal["modbus-rtu"]
    device: str
    baud: Annotated[int, Field(ge=300, le=921_600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    timeout_s: Timeout = 1.0
    gap_ms: Annotated[float, Field(ge=0, le=1000)] = 0  # silence beyond t3.5
    rs485: Rs485 | None = None


class OpcUa(_Strict):
    """An OPC UA server."""

    id: Name
    driver: Literal["opcua"]
    url: Annotated[str, Field(pattern=r"^opc\.tcp://\S+$")]
    timeout_s: Timeout = 4.0


Connection = Annotated[ModbusTcp | ModbusRtuTcp | ModbusRtu | OpcUa, Field(discriminator="driver")]
_RATIO = Field(gt=0, le=100_000)


class DeviceConfig(_Strict):
    """One configured instance of a device type."""

    id: Name
    connection: Name
    profile: str
    unit: Annotated[int, Field(ge=1, le=247)] = 1
    ct_ratio: Annotated[float, _RATIO] = 1
    pt_ratio: Annotated[float, _RATIO] = 1
    priority: Literal["high", "normal", "low"] = "normal"
    points: tuple[str, ...] | None = None  # measurands to read; all when not given

    @field_validator("profile")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        known: Collection[str] = (info.context or {}).get("profiles", ())
        if known and value not in known:
            raise ValueError(f"a shipped profile; fix: use one of {', '.join(sorted(known))}")
        return value


class AgentConfig(_Strict):
    """The whole file; paths are absolute after `load_config`."""

    site: Name
    agent: Name
    interval_s: Annotated[float, Field(ge=0.1, le=3600)] = 60
    intervals: Intervals | None = None  # instead of interval_s
    outbox: OutboxConfig
    push: PushConfig
    connections: Annotated[tuple[Connection, ...], Field(min_length=1)]
    devices: Annotated[tuple[DeviceConfig, ...], Field(min_length=1)]

    def devices_of(self, connection: str) -> tuple[DeviceConfig, ...]:
        """Give the devices on one connection, in file order."""
        return tuple(d for d in self.devices if d.connection == connection)


def load_config(path: Path, profiles: Collection[str] = ()) -> AgentConfig:
    """Read and check agent.yaml; `profiles` are the known refs.  ConfigError: all problems."""
    raw = _read(path)
    problems = [Problem(str(path), *finding) for finding in _cross_checks(raw)]
    try:
        config = AgentConfig.model_validate(raw, context={"profiles": profiles})
    except ValidationError as error:
        found = problems_from(str(path), error.errors())
        raise ConfigError([*found, *problems]) from error
    config = _resolved(config, path.parent)
    problems += _missing_files(str(path), config)
    if problems:
        raise ConfigError(problems)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            [Problem(str(path), "(file)", "a readable file", str(error.strerror), "check the path")]
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(
            [Problem(str(path), "(whole file)", "YAML", " ".join(str(error).split()), "mend it")]
        ) from error
    if not isinstance(content, dict):
        got = type(content).__name__
        raise ConfigError([Problem(str(path), "(whole file)", "a mapping", got, "see the example")])
    return content


_Finding = tuple[str, str, str, str]


def _rows(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    rows = raw.get(key)
    return [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []


def _cross_checks(raw: Mapping[str, Any]) -> Iterator[_Finding]:
    connections, devices = _rows(raw, "connections"), _rows(raw, "devices")
    known = {c.get("id") for c in connections}
    for key, rows in (("connections", connections), ("devices", devices)):
        for name, count in Counter(r.get("id") for r in rows).items():
            if count > 1:
                yield key, "each id once", f"{name!r} {count} times", "rename one"
    for i, device in enumerate(devices):
        if device.get("connection") not in known:
            got = repr(device.get("connection"))
            yield f"devices.{i}.connection", f"one of {sorted(map(str, known))}", got, "correct it"
    units = Counter((d.get("connection"), d.get("unit", 1)) for d in devices)
    kinds = {c.get("id"): c.get("driver") for c in connections}
    for (connection, unit), count in units.items():
        if count > 1 and kinds.get(connection) != "opcua":
            got = f"unit {unit} {count} times on {connection}"
            yield (
                "devices",
                "each unit once on a connection",
                got,
                "give each meter its own unit id",
            )


def _resolved(config: AgentConfig, folder: Path) -> AgentConfig:
    ca = config.push.ca_file
    push = config.push.model_copy(
        update={
            "token_file": folder / config.push.token_file,
            "ca_file": folder / ca if ca else None,
        }
    )
    outbox = config.outbox.model_copy(update={"path": folder / config.outbox.path})
    return config.model_copy(update={"push": push, "outbox": outbox})


def _missing_files(file: str, config: AgentConfig) -> Iterator[Problem]:
    for key, path in (("token_file", config.push.token_file), ("ca_file", config.push.ca_file)):
        if path is not None and not path.is_file():
            yield Problem(file, f"push.{key}", "a file", f"none at {path}", "create it (mode 0600)")
    if not config.outbox.path.parent.is_dir():
        got = f"none at {config.outbox.path.parent}"
        yield Problem(file, "outbox.path", "an existing folder", got, "create the folder")
