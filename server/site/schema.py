"""site.yaml as written: the door.  What may stand where; references are checked in `checks`."""

from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from contract.measurand import MEASURANDS, Kind
from server.site import model as m
from server.site.expression import ExpressionError, parse
from server.yaml_file import Strict

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
Hours = Annotated[str, Field(pattern=r"^\d\d:\d\d-\d\d:\d\d$")]
POWERS = ("power_kw", "flow_m3_per_h")
Moment = datetime | date


class Dated(Strict):
    """A value that holds from a day on."""

    valid_from: Annotated[date, Field(alias="from")]
    value: Annotated[float, Field(ge=0)]


class Since(Strict):
    """A value that holds from a moment on."""

    valid_from: Annotated[Moment, Field(alias="from")]
    value: Annotated[float, Field(gt=0)]


class Head(Strict):
    """The site itself."""

    id: Id
    name: str
    organization: str
    timezone: str = "Asia/Shanghai"
    region: str = "湖南"

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("an IANA time zone; fix: for instance Asia/Shanghai") from error
        return value


class Tariffs(Strict):
    """Which tariffs of the factbook apply."""

    electricity: str = ""
    water: str = ""


class Building(Strict):
    """A building."""

    id: Id
    name: str
    area_m2: tuple[Dated, ...] = ()
    people: tuple[Dated, ...] = ()
    scope: m.Scope = m.Scope.COMPOUND


class Span(Strict):
    """Days [from, to)."""

    start: Annotated[date, Field(alias="from")]
    end: Annotated[date | None, Field(alias="to")] = None


class Area(Strict):
    """A part of a building."""

    id: Id
    name: str
    building: Id
    parent: Id | None = None
    area_m2: tuple[Dated, ...] = ()
    sealed: tuple[Span, ...] = ()


class Replacement(Strict):
    """A meter exchanged."""

    at: datetime
    closing: Annotated[float, Field(ge=0)]
    opening: Annotated[float, Field(ge=0)]


class Correction(Strict):
    """Consumption multiplied over a span."""

    start: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment | None, Field(alias="to")] = None
    factor: Annotated[float, Field(gt=0)]
    reason: Annotated[str, Field(min_length=1)]


class Meter(Strict):
    """A meter of any kind."""

    id: Id
    name: str
    kind: m.MeterKind = m.MeterKind.REAL
    device: Id | None = None
    channel: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")] = ""
    measurand: str | None = None
    carrier: m.Carrier
    role: m.Role
    building: Id
    area: Id | None = None
    end_use: Annotated[str, Field(pattern=r"^\d{2}[0-9A-Z]\d{2}$")]
    parent: Id | None = None
    expression: str | None = None
    of: Id | None = None
    rollover: Annotated[float, Field(gt=0)] | tuple[Since, ...] | None = None
    ratio: Annotated[float, Field(gt=0)] | tuple[Since, ...] | None = None
    corrections: tuple[Correction, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    max_power: Annotated[float, Field(gt=0)] | None = None
    max_spacing_min: Annotated[float, Field(gt=0, le=44640)] = 20.0
    sub_metered: Annotated[str, Field(pattern="^(full|partial)$")] = "full"
    since: Moment | None = None
    until: Moment | None = None
    counted: bool | None = None
    tags: tuple[str, ...] = ()

    @field_validator("measurand")
    @classmethod
    def _countable(cls, value: str | None) -> str | None:
        counters = [k for k, v in MEASURANDS.items() if v.kind is Kind.COUNTER]
        if value is not None and value not in [*counters, *POWERS]:
            known = ", ".join([*counters, *POWERS])
            raise ValueError(f"a counter or a power of the contract; fix: use one of {known}")
        return value

    @field_validator("expression")
    @classmethod
    def _grammar(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                parse(value)
        except ExpressionError as error:
            raise ValueError(
                f"an expression such as E01 + E02 - 0.35 * E03; {error};"
                " fix: use meters, shares and loads with unit only"
            ) from error
        return value

    @model_validator(mode="after")
    def _fits_kind(self) -> "Meter":
        needed = {
            m.MeterKind.REAL: ("device", "measurand"),
            m.MeterKind.VIRTUAL: ("expression",),
            m.MeterKind.RESIDUAL: ("of",),
            m.MeterKind.BILLED: (),
        }
        own = needed[self.kind]
        for key in ("device", "measurand", "expression", "of"):
            has = getattr(self, key) is not None
            if has != (key in own):
                verb = "needs" if key in own else "has no"
                raise ValueError(
                    f"a {self.kind} meter {verb} {key};"
                    f" fix: {'add it' if key in own else 'remove it or change kind'}"
                )
        if self.kind is not m.MeterKind.REAL and (self.replacements or self.ratio or self.rollover):
            raise ValueError(
                f"a {self.kind} meter has no register; fix: remove replacements, ratio, rollover"
            )
        return self


class Gate(Strict):
    """A gate that counts people in and out."""

    device: Id
    name: str
    building: Id


class LocalDay(Strict):
    """A day that the place itself declared a workday or not."""

    day: date
    is_workday: bool


class Season(Strict):
    """Work hours of a part of every year, [from, to) as MM-DD."""

    start: Annotated[str, Field(alias="from", pattern=r"^\d\d-\d\d$")]
    end: Annotated[str, Field(alias="to", pattern=r"^\d\d-\d\d$")]
    work_hours: Annotated[tuple[Hours, ...], Field(min_length=1)]


class Balance(Strict):
    """How much may be lost between a main meter and the meters below it."""

    limit_percent: Annotated[float, Field(gt=0, le=100)] = 5.0


class SiteFile(Strict):
    """site.yaml."""

    site: Head
    buildings: Annotated[tuple[Building, ...], Field(min_length=1)]
    areas: tuple[Area, ...] = ()
    meters: Annotated[tuple[Meter, ...], Field(min_length=1)]
    gates: tuple[Gate, ...] = ()
    thermometer: Id | None = None
    work_hours: tuple[Hours, ...] = ("08:00-12:00", "14:30-17:30")
    seasons: tuple[Season, ...] = ()
    tariffs: Tariffs = Tariffs()
    sealed_area_m2: tuple[Dated, ...] = ()
    local_days: tuple[LocalDay, ...] = ()
    balance: Balance = Balance()
