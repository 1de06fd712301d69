"""What a profile's YAML may say: the strict models, each with its own checks."""

from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from contract.measurand import MEASURANDS, Kind
from edge.profile import model as m


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _exact(value: str | float) -> str | float:
    try:
        Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError('a number or a fraction; fix: write 0.1 or "1/3"') from None
    return value


def _positive(value: str | float) -> str | float:
    if Fraction(str(_exact(value))) <= 0:
        raise ValueError("a number above 0; fix: for a device that counts export as positive say "
                         "`sign: inverted`")  # fmt: skip
    return value


def _exactly(value: str | float) -> Fraction:
    return Fraction(str(value))


Word = Annotated[int, Field(ge=0, le=0xFFFF)]
Number = Annotated[str | int | float, AfterValidator(_exact)]
Scale = Annotated[str | int | float, AfterValidator(_positive)]
Type = Literal[
    "u8", "s8", "u16", "s16", "u32", "s32", "u48", "s48", "u64", "s64",
    "f16", "f32", "f64", "bcd16", "bcd32", "bcd48", "bcd64",
]  # fmt: skip
Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
_BYTE_TYPES = frozenset({"u8", "s8"})
_MASKED_TYPES = frozenset({"u16", "u32", "u48", "u64"})


class Coding(_Strict):
    """How a number stands in its registers."""

    type: Type | None = None
    order: Order = "ABCD"
    half: Literal["hi", "lo"] = "lo"
    mask: Annotated[int, Field(ge=1, le=0xFFFF_FFFF_FFFF_FFFF)] | None = None

    @model_validator(mode="after")
    def _coding_fits(self) -> Self:
        if self.type is None:
            return self
        if "half" in self.model_fields_set and self.type not in _BYTE_TYPES:
            raise ValueError(f"half only with u8 or s8, not {self.type}; fix: remove half")
        if self.type in _BYTE_TYPES and self.order != "ABCD":
            raise ValueError("no order for one byte; fix: say half: hi or lo instead")
        words = m.WORDS_OF_TYPE[self.type]
        if words == 1 and self.order in {"CDAB", "DCBA"}:
            raise ValueError("ABCD or BADC for one register; fix: drop the order")
        if self.mask is not None and self.type not in _MASKED_TYPES:
            raise ValueError(f"mask only with an unsigned type, not {self.type}; fix: use u16, u32")
        if self.mask is not None and self.mask >> (16 * words):
            raise ValueError(f"a mask that fits {self.type}; fix: widen the type, or the mask")
        return self


class PartFile(Coding):
    """One entry of a point's `parts`; `at` counts registers from the point's address."""

    at: Annotated[int, Field(ge=0, le=124)]
    type: Type
    scale: Scale = 1
    role: m.Role = m.Role.ADD

    @model_validator(mode="after")
    def _role_fits(self) -> Self:
        if self.role is not m.Role.ADD and self.type.startswith("f"):
            raise ValueError(f"an integer for {self.role}; fix: use an integer type")
        return self

    def part(self) -> m.Part:
        """Give the checked part."""
        scale = _exactly(self.scale)
        return m.Part(self.at, self.type, self.order, self.half, self.mask or 0, scale, self.role)


class RegisterFile(Coding):
    """What points and auxiliary points share."""

    function: Literal[3, 4] | None = None
    address: Word | None = None
    parts: Annotated[tuple[PartFile, ...], Field(min_length=1)] | None = None
    scale: Scale = 1
    offset: Number = 0
    sentinels: tuple[Annotated[int, Field(ge=0)], ...] = ()
    missing_from: float | None = None

    @model_validator(mode="after")
    def _one_coding(self) -> Self:
        if self.parts is not None and self.type is not None:
            raise ValueError("either type or parts; fix: remove one")
        if self.parts is not None and all(p.role is not m.Role.ADD for p in self.parts):
            raise ValueError("a part that holds the number; fix: add one with role: add")
        return self

    def coding(self) -> m.PointSpec:
        """Give a point without a meaning: what points and auxiliary points share."""
        return m.PointSpec(
            "",
            self.function or 0,
            self.address or 0,
            self.type or "",
            order=self.order,
            half=self.half,
            mask=self.mask or 0,
            parts=tuple(p.part() for p in self.parts or ()),
            scale=_exactly(self.scale),
            offset=_exactly(self.offset),
            sentinels=self.sentinels,
            missing_from=self.missing_from,
        )


class PointFile(RegisterFile):
    """One entry of `points`."""

    measurand: str
    unit: str
    basis: m.Basis = m.Basis.DIRECT
    node: str | None = None
    pace: m.Pace = m.Pace.NORMAL
    sign: m.Sign = m.Sign.NORMAL
    wrap: Scale | None = None
    scale_by: str | None = None
    exponent: str | None = None
    ct: str | None = None
    pt: str | None = None

    @field_validator("measurand")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in MEASURANDS:
            raise ValueError("a measurand of the contract; fix: see contract/measurand.py")
        return value

    @model_validator(mode="after")
    def _unit_fits(self) -> Self:
        wanted = MEASURANDS[self.measurand].unit
        if m.UNITS.get(self.unit, ("",))[0] != wanted:
            fits = ", ".join(u for u, (canonical, _) in m.UNITS.items() if canonical == wanted)
            raise ValueError(f"a unit that converts to {wanted}; fix: use one of {fits}")
        return self

    @model_validator(mode="after")
    def _meaning_fits(self) -> Self:
        if self.wrap is not None and MEASURANDS[self.measurand].kind is not Kind.COUNTER:
            raise ValueError(f"wrap only on a counter, not {self.measurand}; fix: remove wrap")
        if (self.ct or self.pt) and self.basis is not m.Basis.SECONDARY:
            raise ValueError("basis: secondary where ct or pt is named; fix: correct basis")
        return self

    def spec(self) -> m.PointSpec:
        """Give the checked point."""
        return replace(
            self.coding(),
            measurand=self.measurand,
            unit=self.unit,
            basis=self.basis,
            node=self.node or "",
            pace=self.pace,
            sign=self.sign,
            wrap=None if self.wrap is None else _exactly(self.wrap),
            scale_by=self.scale_by or "",
            exponent=self.exponent or "",
            ct=self.ct or "",
            pt=self.pt or "",
        )


class AuxiliaryFile(RegisterFile):
    """One entry of `auxiliary`: a register that points are scaled by."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
    pace: m.Pace = m.Pace.SLOW
    table: dict[int, Scale] | None = None  # raw number → factor

    @field_validator("name")
    @classmethod
    def _own(cls, value: str) -> str:
        if value in MEASURANDS:
            raise ValueError("a name that is no measurand; fix: rename it")
        return value

    def spec(self) -> m.PointSpec:
        """Give the checked point."""
        return replace(
            self.coding(),
            measurand=self.name,
            pace=self.pace,
            auxiliary=True,
            table=tuple((k, _exactly(v)) for k, v in (self.table or {}).items()),
        )


class SourceFile(_Strict):
    """Where the register facts come from."""

    document: str
    revision: str = ""
    note: str = ""


class LimitsFile(_Strict):
    """What the device stands."""

    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    max_gap: Annotated[int, Field(ge=0, le=120)] = 0
    pause_ms: Annotated[int, Field(ge=0, le=5000)] = 0
    timeout_ms: Annotated[int, Field(ge=10, le=30_000)] = 1000
    even: bool = False
    stops: tuple[Annotated[int, Field(ge=1, le=0xFFFF)], ...] = ()


class SerialFile(_Strict):
    """Factory serial settings."""

    baud: Annotated[int, Field(ge=300, le=921_600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1


class ExampleFile(_Strict):
    """Words in, readings out."""

    source: str
    function: Literal[3, 4]
    address: Word
    words: tuple[Word, ...]
    readings: dict[str, float | None]
    auxiliary: dict[str, float] = {}


class ProfileFile(_Strict):
    """A device type, as its YAML file says it."""

    maker: str
    model: str
    variant: str = ""
    title: str
    protocol: m.Protocol
    evidence: Literal["manual", "simulated", "bench", "field"]
    sources: Annotated[tuple[SourceFile, ...], Field(min_length=1)]
    serial: SerialFile | None = None
    limits: LimitsFile = LimitsFile()
    points: Annotated[tuple[PointFile, ...], Field(min_length=1)]
    auxiliary: tuple[AuxiliaryFile, ...] = ()
    examples: tuple[ExampleFile, ...] = ()
