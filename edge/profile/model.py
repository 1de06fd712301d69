"""What a profile is once its file has been checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from contract.measurand import MEASURANDS


class Protocol(StrEnum):
    """The protocol a device speaks."""

    MODBUS = "modbus"
    OPCUA = "opcua"


class Basis(StrEnum):
    """Which side of the instrument transformers a value is on."""

    PRIMARY = "primary"  # the meter has multiplied already
    SECONDARY = "secondary"  # multiply by the ratios of the configured device
    DIRECT = "direct"  # no transformer, or none that matters


class Pace(StrEnum):
    """How often a point is read; the seconds stand in agent.yaml."""

    FAST = "fast"  # what demand and waste are seen by
    NORMAL = "normal"  # counters and what goes with them
    SLOW = "slow"  # what hardly changes: ratios, temperatures of rooms, settings


class Sign(StrEnum):
    """Which way a device counts as positive; inside, import is positive."""

    NORMAL = "normal"
    INVERTED = "inverted"  # the device counts export as positive


class Role(StrEnum):
    """What a part of a value does to it."""

    ADD = "add"  # is added, times its own scale
    EXPONENT = "exponent"  # the sum is multiplied by ten to this power
    SIGN = "sign"  # not zero: the value is negative


WORDS_OF_TYPE: Mapping[str, int] = {
    "u8": 1, "s8": 1, "u16": 1, "s16": 1, "f16": 1, "bcd16": 1,
    "u32": 2, "s32": 2, "f32": 2, "bcd32": 2, "u48": 3, "s48": 3, "bcd48": 3,
    "u64": 4, "s64": 4, "f64": 4, "bcd64": 4,
}  # fmt: skip
# device unit → (canonical unit, factor); exact fractions so that 123 × 0.1 is 12.3
UNITS: Mapping[str, tuple[str, Fraction]] = {
    "W": ("kW", Fraction(1, 1000)), "kW": ("kW", Fraction(1)),
    "var": ("kvar", Fraction(1, 1000)), "kvar": ("kvar", Fraction(1)),
    "VA": ("kVA", Fraction(1, 1000)), "kVA": ("kVA", Fraction(1)),
    "Wh": ("kWh", Fraction(1, 1000)), "kWh": ("kWh", Fraction(1)), "MWh": ("kWh", Fraction(1000)),
    "kvarh": ("kvarh", Fraction(1)), "varh": ("kvarh", Fraction(1, 1000)),
    "V": ("V", Fraction(1)), "A": ("A", Fraction(1)), "mA": ("A", Fraction(1, 1000)),
    "Hz": ("Hz", Fraction(1)), "1": ("1", Fraction(1)), "%": ("%", Fraction(1)),
    "m3": ("m³", Fraction(1)), "L": ("m³", Fraction(1, 1000)),
    "m3/h": ("m³/h", Fraction(1)), "L/h": ("m³/h", Fraction(1, 1000)),
    "degC": ("°C", Fraction(1)), "ppm": ("ppm", Fraction(1)),
    "MPa": ("MPa", Fraction(1)), "kPa": ("MPa", Fraction(1, 1000)), "bar": ("MPa", Fraction(1, 10)),
    "lux": ("lux", Fraction(1)), "persons": ("persons", Fraction(1)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a value: `at` registers behind the point's address, coded as `type` and `order`.

    half (u8, s8): which byte of the register, hi or lo.  mask (unsigned types): the bits that
    count, moved down to bit 0.  scale: what the piece is multiplied by before it is added.
    """

    at: int = 0
    type: str = "u16"
    order: str = "ABCD"
    half: str = "lo"
    mask: int = 0
    scale: Fraction = Fraction(1)
    role: Role = Role.ADD

    @property
    def words(self) -> int:
        """Give how many registers the piece takes."""
        return WORDS_OF_TYPE[self.type]


@dataclass(frozen=True, slots=True)
class PointSpec:
    """One point of a device type: where it stands, how it is coded, what it means.

    Modbus points have function (3 or 4), 0-based wire address, type and order (ABCD: high word
    first; CDAB: low word first; BADC and DCBA: the same with the bytes of each word swapped).
    A value made of several registers has `parts` in place of type; address and words always
    describe the whole span, which is read in one request.  OPC UA points have a node: the browse
    path below Objects.

    The value is (raw × scale + offset) in `unit`, times what `scale_by` and `exponent` name, times
    the transformer ratios of a secondary value.  An auxiliary point is one of those names: it is
    read, and never sent; its measurand is its name, and `table` maps its raw number to a factor.
    """

    measurand: str
    function: int = 0
    address: int = 0
    type: str = ""
    order: str = "ABCD"
    scale: Fraction = Fraction(1)
    unit: str = "1"
    basis: Basis = Basis.DIRECT
    node: str = ""
    pace: Pace = Pace.NORMAL
    sentinels: tuple[int, ...] = ()  # raw words, as one big number, that mean "not available"
    half: str = "lo"
    mask: int = 0
    parts: tuple[Part, ...] = ()
    offset: Fraction = Fraction(0)  # in `unit`, behind the scale
    sign: Sign = Sign.NORMAL
    missing_from: float | None = None  # raw numbers from here up mean "not available"
    wrap: Fraction | None = None  # a counter shows 0 where it should show this, in `unit`
    scale_by: str = ""
    exponent: str = ""
    ct: str = ""
    pt: str = ""
    auxiliary: bool = False
    table: tuple[tuple[int, Fraction], ...] = ()

    @property
    def pieces(self) -> tuple[Part, ...]:
        """Give the parts of the value; most have one."""
        if self.parts or not self.type:
            return self.parts
        return (Part(0, self.type, self.order, self.half, self.mask),)

    @property
    def words(self) -> int:
        """Give how many registers the value's span takes."""
        if self.parts:
            return max(p.at + p.words for p in self.parts)
        return WORDS_OF_TYPE[self.type] if self.type else 0

    @property
    def end(self) -> int:
        """Give the address behind the value's last register."""
        return self.address + self.words

    @property
    def needs(self) -> tuple[str, ...]:
        """Give the names of the auxiliary points that the value is scaled by."""
        return tuple(n for n in (self.scale_by, self.exponent, self.ct, self.pt) if n)

    @property
    def factor(self) -> Fraction:
        """Give the exact factor from the raw number to the canonical unit, sign included."""
        factor = self.scale * UNITS[self.unit][1]
        return -factor if self.sign is Sign.INVERTED else factor

    @property
    def offset_canonical(self) -> Fraction:
        """Give the offset in the canonical unit, sign included."""
        offset = self.offset * UNITS[self.unit][1]
        return -offset if self.sign is Sign.INVERTED else offset

    @property
    def scale_to_canonical(self) -> float:
        """Give `factor` as a float."""
        return float(self.factor)

    @property
    def canonical_unit(self) -> str:
        """Give the unit of the decoded value."""
        return "1" if self.auxiliary else MEASURANDS[self.measurand].unit


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What a device stands: registers a read, registers read for nothing, pause and timeout."""

    max_registers: int = 125
    max_gap: int = 0
    pause_ms: int = 0
    timeout_ms: int = 1000
    even: bool = False  # addresses and counts must be even
    stops: tuple[int, ...] = ()  # a read may end before such an address or begin at it, not cross


@dataclass(frozen=True, slots=True)
class SerialLine:
    """The serial settings a device leaves the factory with."""

    baud: int = 9600
    parity: str = "N"
    stopbits: int = 1


@dataclass(frozen=True, slots=True)
class Example:
    """Register words in, readings out (canonical units), and where the words come from.

    `auxiliary` holds what the auxiliary points outside the words say.
    """

    source: str
    function: int
    address: int
    words: tuple[int, ...]
    readings: Mapping[str, float | None]
    auxiliary: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """A device type.  `ref` is `<maker>/<model>`, the name agent.yaml uses."""

    ref: str
    maker: str
    model: str
    variant: str
    title: str
    protocol: Protocol
    evidence: str
    limits: ReadLimits
    serial: SerialLine | None
    points: tuple[PointSpec, ...]
    examples: tuple[Example, ...]
    sources: tuple[str, ...]
    auxiliary: tuple[PointSpec, ...] = ()  # read because points need them, never sent

    def point(self, measurand: str) -> PointSpec:
        """Give the point of a measurand; KeyError if the device does not offer it."""
        for point in self.points:
            if point.measurand == measurand:
                return point
        raise KeyError(f"{self.ref} offers no {measurand}")

    def with_auxiliary(self, points: Iterable[PointSpec]) -> tuple[PointSpec, ...]:
        """Give the points and the auxiliary points they need: what has to be planned."""
        chosen = tuple(points)
        names = {name for point in chosen for name in point.needs}
        return (*chosen, *(a for a in self.auxiliary if a.measurand in names))
