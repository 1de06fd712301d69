"""The site as the server sees it: frozen dataclasses, already validated (see `site.file`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from zoneinfo import ZoneInfo


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


@dataclass(frozen=True, slots=True)
class Replacement:
    """A meter exchanged at an instant: the old one's closing and the new one's opening reading."""

    at_ms: int
    closing: float
    opening: float


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter 计量表: which counter of which device, and what it stands for in the site."""

    id: str
    name: str
    device: str
    measurand: str
    carrier: Carrier
    role: Role
    building: str  # a Building's id
    end_use: str  # national code, e.g. 01A00; 01000 = all electricity, 02000 = all water
    parent: str | None = None  # the main meter it lies under
    rollover: float | None = None  # counts up to, then starts again at 0; canonical unit
    replacements: tuple[Replacement, ...] = ()  # exchanges of the device, oldest first
    tags: frozenset[str] = frozenset()  # free marks that rules select by: outdoor, server-room ...


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
        """Give the meters that match, in file order; `end_use` matches a code and all below it."""
        return tuple(
            m
            for m in self.meters
            if m.carrier is carrier
            and (building is None or m.building == building)
            and (role is None or m.role is role)
            and (end_use is None or m.end_use.startswith(end_use.rstrip("0")))
        )
