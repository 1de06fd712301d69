"""The site as the server sees it: frozen dataclasses, already validated (see `site.file`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from server.site.expression import Linear


class Scope(StrEnum):
    """Which books a place belongs to; sums and denominators of the two are never mixed."""

    COMPOUND = "compound"  # the metered compound 大院
    LEDGER = "ledger"  # a building of the county's ledger 全县台账, known by bills


class MeterKind(StrEnum):
    """Where a meter's consumption comes from."""

    REAL = "real"  # a device's register, or its power where it has none
    VIRTUAL = "virtual"  # an expression over other meters
    RESIDUAL = "residual"  # a main meter less the meters below it
    BILLED = "billed"  # no device: bills and readings entered by hand


class Role(StrEnum):
    """A main meter measures a whole building or the site; a sub meter one part below it."""

    MAIN = "main"
    SUB = "sub"


class Carrier(StrEnum):
    """What a meter measures; also the stem of the rollup measurements."""

    ELECTRICITY = "electricity"
    WATER = "water"

    @property
    def unit(self) -> str:
        """Give the canonical unit of consumption."""
        return "kWh" if self is Carrier.ELECTRICITY else "m³"

    @property
    def default_max_power(self) -> float:
        """Give the kW (m³/h) that no single meter of a compound is believed to exceed."""
        return 2000.0 if self is Carrier.ELECTRICITY else 200.0


@dataclass(frozen=True, slots=True)
class Dated:
    """A value that holds from a day on, until the next row."""

    valid_from: date
    value: float


def value_on(rows: Sequence[Dated], day: date) -> float | None:
    """Give the value valid on a day; None before the first row."""
    valid = [r for r in rows if r.valid_from <= day]
    return max(valid, key=lambda r: r.valid_from).value if valid else None


@dataclass(frozen=True, slots=True)
class Building:
    """A building 建筑: area in m² and people, by date."""

    id: str
    name: str
    area_m2: tuple[Dated, ...] = ()
    people: tuple[Dated, ...] = ()
    scope: Scope = Scope.COMPOUND


@dataclass(frozen=True, slots=True)
class Area:
    """A part of a building 区域: a floor, a department; `sealed` spans are out of use 封存."""

    id: str
    name: str
    building: str
    parent: str | None = None  # the Area it lies in
    area_m2: tuple[Dated, ...] = ()
    sealed: tuple[tuple[date, date | None], ...] = ()  # [from, to), to None: still


@dataclass(frozen=True, slots=True)
class Since:
    """A number that holds from an instant on; `from_ms` None: from the beginning."""

    from_ms: int | None
    value: float


@dataclass(frozen=True, slots=True)
class Correction:
    """Consumption multiplied by a factor over [start, end): a wrong CT ratio, a missing phase."""

    start_ms: int
    end_ms: int | None
    factor: float
    reason: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """A meter exchanged at an instant: the old one's closing and the new one's opening reading."""

    at_ms: int
    closing: float
    opening: float


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter 计量表: where its consumption comes from, and what it stands for in the site."""

    id: str
    name: str
    device: str  # empty unless kind is real
    measurand: str  # a counter, or a power where the device has no counter
    carrier: Carrier
    role: Role
    building: str  # a Building's id, or the site's
    end_use: str  # national code, e.g. 01A00; 01000 = all electricity, 02000 = all water
    parent: str | None = None  # the meter it lies under
    kind: MeterKind = MeterKind.REAL
    channel: str = ""  # the circuit of a multi-circuit device 回路
    area: str | None = None
    expression: Linear | None = None  # of a virtual meter
    of: str | None = None  # the main meter of a residual
    registers: tuple[Since, ...] = ()  # register widths in the register's unit
    ratios: tuple[Since, ...] = ()  # CT × PT ratio applied by us, by date
    corrections: tuple[Correction, ...] = ()
    replacements: tuple[Replacement, ...] = ()  # exchanges of the device, oldest first
    max_power: float | None = None  # kW or m³/h that the place can never exceed
    max_spacing_min: float = 20.0  # readings further apart than this bracket a gap
    is_fully_sub_metered: bool = True  # the meters below it should add up to it
    since_ms: int | None = None  # in use from
    until_ms: int | None = None  # and up to
    is_counted: bool = True  # in the sums of its place and end use; virtual meters by default not
    tags: frozenset[str] = frozenset()  # free marks that rules select by: outdoor, server-room ...

    @property
    def point_device(self) -> str:
        """Give the device id its readings carry: a circuit's is <device>.<channel>."""
        return f"{self.device}.{self.channel}" if self.channel else self.device


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate whose door_in_total / door_out_total give presence in a building."""

    device: str
    name: str
    building: str


@dataclass(frozen=True, slots=True)
class WorkHours:
    """When the site works on a workday: [start, end) in site time."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class SeasonHours:
    """Other work hours in a part of every year: [from, to) as (month, day), over New Year too."""

    first: tuple[int, int]
    last: tuple[int, int]
    hours: tuple[WorkHours, ...]

    def covers(self, day: date) -> bool:
        """Say whether a day lies in the season."""
        at = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= at < self.last
        return at >= self.first or at < self.last


@dataclass(frozen=True, slots=True)
class Site:
    """The compound: places, meters, gates, hours.  Ids are unique; references are checked."""

    id: str
    name: str
    organization: str
    zone: ZoneInfo
    buildings: tuple[Building, ...]
    meters: tuple[Meter, ...]
    gates: tuple[Gate, ...] = ()
    thermometer: str | None = None  # device id of the outdoor thermometer
    work_hours: tuple[WorkHours, ...] = ()
    electricity_tariff: str = ""  # a tariff id of the factbook
    water_tariff: str = ""
    region: str = "湖南"  # whose grid factor is used
    sealed_area_m2: tuple[Dated, ...] = ()
    local_days: tuple[tuple[date, bool], ...] = ()  # (day, is_workday) by local order
    areas: tuple[Area, ...] = ()
    seasons: tuple[SeasonHours, ...] = ()  # the first that covers a day replaces work_hours
    balance_limit: float = 0.05  # a larger share lost between main and subs blocks a month's close

    def hours_on(self, day: date) -> tuple[WorkHours, ...]:
        """Give the work hours of a day, if it is worked."""
        for season in self.seasons:
            if season.covers(day):
                return season.hours
        return self.work_hours

    def scope_of(self, meter: Meter) -> Scope:
        """Give the books a meter belongs to."""
        if meter.building == self.id:
            return Scope.COMPOUND
        return self.building(meter.building).scope

    def meter(self, meter_id: str) -> Meter:
        """Give a meter; KeyError if there is none."""
        for m in self.meters:
            if m.id == meter_id:
                return m
        raise KeyError(meter_id)

    def buildings_in(self, scope: Scope) -> tuple[Building, ...]:
        """Give the buildings of one scope."""
        return tuple(b for b in self.buildings if b.scope is scope)

    @property
    def compound_buildings(self) -> tuple[Building, ...]:
        """Give the buildings of the compound."""
        return self.buildings_in(Scope.COMPOUND)

    def sealed_m2(self, day: date) -> float:
        """Give the floor area out of use on a day: the site's figure and the sealed areas."""
        total = value_on(self.sealed_area_m2, day) or 0.0
        for area in self.areas:
            if any(a <= day and (b is None or day < b) for a, b in area.sealed):
                total += value_on(area.area_m2, day) or 0.0
        return total

    def building(self, building_id: str) -> Building:
        """Give a building; KeyError if there is none."""
        return next(b for b in self.buildings if b.id == building_id)

    def meters_of(
        self,
        carrier: Carrier,
        *,
        building: str | None = None,
        role: Role | None = None,
        end_use: str | None = None,
    ) -> tuple[Meter, ...]:
        """Give the counted meters that match, in file order; an end use includes all below it.

        Without a building, only the compound's: the ledger's are asked for by building.
        """
        ledger = {b.id for b in self.buildings_in(Scope.LEDGER)}
        return tuple(
            m
            for m in self.meters
            if m.carrier is carrier
            and m.is_counted
            and (building is not None or m.building not in ledger)
            and (building is None or m.building == building)
            and (role is None or m.role is role)
            and (end_use is None or m.end_use.startswith(end_use.rstrip("0")))
        )
