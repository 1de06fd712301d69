"""What agent.yaml may say: every key, its type and its range."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge.config.ports import stable_port
from edge.config.words import nearest

TICKS_A_SECOND = 10  # intervals are whole tenths of a second
LEAST_COMMIT_S, MOST_COMMIT_S = 1.0, 10.0  # of the outbox, unless somebody says otherwise


def _tenths(value: float) -> float:
    if abs(value * TICKS_A_SECOND - round(value * TICKS_A_SECOND)) > 1e-6:
        raise ValueError("a multiple of 0.1 s; fix: round it to one digit after the point")
    return round(value, 1)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
Port = Annotated[int, Field(ge=1, le=65535)]
Timeout = Annotated[float, Field(gt=0, le=60)]
Seconds = Annotated[float, Field(ge=0.1, le=3600), AfterValidator(_tenths)]
Baud = Annotated[int, Field(ge=300, le=921_600)]
PaceName = Literal["fast", "normal", "slow"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OutboxConfig(_Strict):
    """Where readings wait, and how many may."""

    path: Path
    max_bytes: Annotated[int, Field(ge=100_000)] = 500_000_000
    max_age_days: Annotated[float, Field(gt=0)] = 90
    # what a power cut may cost; else the shortest poll interval, 1 to 10 s
    commit_interval_s: Annotated[float, Field(ge=0.05, le=60)] | None = None
    ram_max_bytes: Annotated[int, Field(ge=100_000)] = (
        32_000_000  # while the disk cannot be written
    )


class PushConfig(_Strict):
    """Where readings go."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+(/.*)?$")]
    org: str = "compound"
    bucket: str = "energy"
    token_file: Path
    ca_file: Path | None = None
    pin_sha256: str | None = None  # of the server's certificate, instead of an authority
    interval_s: Annotated[float, Field(gt=0, le=3600)] = 10
    timeout_s: Timeout = 10
    batch_bytes: Annotated[int, Field(ge=1000, le=20_000_000)] = 400_000
    replay_share: Annotated[float, Field(ge=0.01, le=1)] = 0.5  # of the time, for the backlog
    replay_bytes_per_s: Annotated[float, Field(ge=1000)] = 1_000_000

    @field_validator("pin_sha256")
    @classmethod
    def _pin(cls, value: str | None) -> str | None:
        digits = (value or "").replace(":", "").lower()
        if value is not None and not re.fullmatch(r"[0-9a-f]{64}", digits):
            fix = "openssl x509 -in server.pem -noout -fingerprint -sha256 gives them"
            raise ValueError(f"64 hexadecimal digits; fix: {fix}")
        return digits or None

    @model_validator(mode="after")
    def _pinned_over_tls(self) -> Self:
        if self.pin_sha256 and not self.url.startswith("https:"):
            raise ValueError("an https url beside pin_sha256; fix: url: https://…, or no pin")
        return self


class CopyConfig(PushConfig):
    """Where a copy of everything goes; what waits for it alone has bounds of its own."""

    id: Name
    max_bytes: Annotated[int, Field(ge=100_000)] = 50_000_000
    max_age_days: Annotated[float, Field(gt=0)] = 14

    @field_validator("id")
    @classmethod
    def _not_the_primary(cls, value: str) -> str:
        if value == "push":
            raise ValueError("another id than push; fix: it names the primary destination")
        return value


class ClockConfig(_Strict):
    """Whose word on the time is taken; None: what suits the machine.

    ntp: a time source of the machine alone; server: the server's word too, where there is none;
    system: the machine's clock as it is.
    """

    trust: Literal["ntp", "server", "system"] | None = None


class FleetConfig(_Strict):
    """How a new configuration comes from the server: only signed, only when asked for."""

    public_key_file: Path
    interval_s: Annotated[float, Field(ge=10, le=86_400)] = 450  # a third more or less, by chance
    trial_s: Annotated[float, Field(ge=10, le=3600)] = 120  # or three rounds: devices must answer


class Intervals(_Strict):
    """Seconds between two reads of a point, by its pace; each a multiple of the shortest."""

    fast: Seconds
    normal: Seconds
    slow: Annotated[float, Field(ge=0.1, le=86_400), AfterValidator(_tenths)]

    @model_validator(mode="after")
    def _fit(self) -> "Intervals":
        if not self.fast <= self.normal <= self.slow:
            raise ValueError("fast <= normal <= slow; fix: put them in this order")
        tick = round(self.fast * TICKS_A_SECOND)
        for name, value in (("normal", self.normal), ("slow", self.slow)):
            times, over = divmod(round(value * TICKS_A_SECOND), tick)
            if over:
                near = (f"{n * tick / TICKS_A_SECOND:g}" for n in (times, times + 1))
                wanted = f"{name} a whole multiple of fast ({self.fast:g} s)"
                raise ValueError(f"{wanted}; fix: {name} {' or '.join(near)}")
        return self

    @property
    def tick_s(self) -> float:
        """Give the shortest interval: the bus's tick."""
        return self.fast


class Rs485(_Strict):
    """How a serial port turns its transceiver round, where the adapter does not do it itself."""

    rts_on_send: bool = True
    delay_before_ms: Annotated[float, Field(ge=0, le=100)] = 0
    delay_after_ms: Annotated[float, Field(ge=0, le=100)] = 0


class _Link(_Strict):
    id: Name
    interval_s: Seconds | None = None  # for this connection, instead of the agent's
    turnaround_ms: Annotated[float, Field(ge=0, le=1000)] = (
        20  # until devices answer: for the budget
    )


class ModbusTcp(_Link):
    """Modbus TCP (MBAP) to a meter or gateway."""

    driver: Literal["modbus-tcp"]
    host: Annotated[str, Field(min_length=1)]
    port: Port = 502
    timeout_s: Timeout = 1.0
    line_baud: Baud | None = None  # of the serial line behind a gateway: for the budget


class ModbusRtuTcp(_Link):
    """RTU frames through a serial server."""

    driver: Literal["modbus-rtu-tcp"]
    host: Annotated[str, Field(min_length=1)]
    port: Port
    timeout_s: Timeout = 1.0
    line_baud: Baud | None = None  # of the line behind the server: for the budget


class ModbusRtu(_Link):
    """RTU on a serial line."""

    driver: Literal["modbus-rtu"]
    device: str
    baud: Baud = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    timeout_s: Timeout = 1.0
    gap_ms: Annotated[float, Field(ge=0, le=1000)] = 0  # silence beyond t3.5
    rs485: Rs485 | None = None

    @field_validator("device")
    @classmethod
    def _stable(cls, value: str) -> str:
        return stable_port(value)


class OpcUa(_Link):
    """An OPC UA server."""

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
    unit: int = 1
    ct_ratio: Annotated[float, _RATIO] = 1
    pt_ratio: Annotated[float, _RATIO] = 1
    priority: Literal["high", "normal", "low"] = "normal"
    points: tuple[str, ...] | None = None  # measurands to read; all when not given
    pace: Mapping[str, PaceName] = {}  # measurands read at another pace than the profile's

    @field_validator("unit")
    @classmethod
    def _addressable(cls, value: int) -> int:
        if not 1 <= value <= 247:
            what = "0 is broadcast" if value == 0 else "248 to 255 are reserved"
            raise ValueError(f"1 to 247 ({what}); fix: the unit id set in the meter")
        return value

    @field_validator("profile")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        known: Collection[str] = (info.context or {}).get("profiles", ())
        if known and value not in known:
            near = nearest(value, known)
            raise ValueError(f"a shipped profile; fix: {near}compound-edge profiles lists them")
        return value


class AgentConfig(_Strict):
    """The whole file; paths are absolute after `load_config`."""

    site: Name
    agent: Name
    interval_s: Seconds = 60
    intervals: Intervals | None = None  # instead of interval_s
    outbox: OutboxConfig
    push: PushConfig
    copies: tuple[CopyConfig, ...] = ()
    clock: ClockConfig = ClockConfig()
    fleet: FleetConfig | None = None
    connections: Annotated[tuple[Connection, ...], Field(min_length=1)]
    devices: Annotated[tuple[DeviceConfig, ...], Field(min_length=1)]

    @field_validator("copies")
    @classmethod
    def _copies_differ(cls, value: tuple[CopyConfig, ...]) -> tuple[CopyConfig, ...]:
        ids = [copy.id for copy in value]
        if len(ids) != len(set(ids)):
            raise ValueError(f"each copy an id of its own, got {', '.join(ids)}; fix: rename one")
        return value

    @property
    def commit_interval_s(self) -> float:
        """Give the seconds between two commits of the outbox: as said, else one a poll round.

        Every commit wears the card by some blocks of 4 kB, however little is in it.
        """
        if self.outbox.commit_interval_s is not None:
            return self.outbox.commit_interval_s
        shortest_s = min(self.intervals_of(c).tick_s for c in self.connections)
        return min(max(shortest_s, LEAST_COMMIT_S), MOST_COMMIT_S)

    def devices_of(self, connection: str) -> tuple[DeviceConfig, ...]:
        """Give the devices on one connection, in file order."""
        return tuple(d for d in self.devices if d.connection == connection)

    def intervals_of(self, connection: Connection) -> Intervals:
        """Give the seconds of each pace on a connection: its own, or the agent's."""
        one = connection.interval_s
        if one is None and self.intervals is not None:
            return self.intervals
        one = one or self.interval_s
        return Intervals(fast=one, normal=one, slow=one)
