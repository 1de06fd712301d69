"""site.yaml → Site: strict, every problem at once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from contract.errors import ConfigError, Problem
from contract.measurand import MEASURANDS, Kind
from server.site import model as m
from server.yaml_file import Strict, checked, read_mapping

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]


class _Dated(Strict):
    valid_from: Annotated[date, Field(alias="from")]
    value: Annotated[float, Field(ge=0)]


class _Head(Strict):
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


class _Tariffs(Strict):
    electricity: str = ""
    water: str = ""


class _Building(Strict):
    id: Id
    name: str
    area_m2: tuple[_Dated, ...] = ()
    people: tuple[_Dated, ...] = ()


class _Replacement(Strict):
    at: datetime
    closing: Annotated[float, Field(ge=0)]
    opening: Annotated[float, Field(ge=0)]


class _Meter(Strict):
    id: Id
    name: str
    device: Id
    measurand: str
    carrier: m.Carrier
    role: m.Role
    building: Id
    end_use: Annotated[str, Field(pattern=r"^\d{2}[0-9A-Z]\d{2}$")]
    parent: Id | None = None
    rollover: Annotated[float, Field(gt=0)] | None = None
    replacements: tuple[_Replacement, ...] = ()
    tags: tuple[str, ...] = ()

    @field_validator("measurand")
    @classmethod
    def _counter(cls, value: str) -> str:
        if value not in MEASURANDS or MEASURANDS[value].kind is not Kind.COUNTER:
            counters = ", ".join(k for k, v in MEASURANDS.items() if v.kind is Kind.COUNTER)
            raise ValueError(f"a counter of the contract; fix: use one of {counters}")
        return value


class _Gate(Strict):
    device: Id
    name: str
    building: Id


class _LocalDay(Strict):
    day: date
    is_workday: bool


class SiteFile(Strict):
    """site.yaml as written."""

    site: _Head
    buildings: Annotated[tuple[_Building, ...], Field(min_length=1)]
    meters: Annotated[tuple[_Meter, ...], Field(min_length=1)]
    gates: tuple[_Gate, ...] = ()
    thermometer: Id | None = None
    work_hours: tuple[Annotated[str, Field(pattern=r"^\d\d:\d\d-\d\d:\d\d$")], ...] = (
        "08:00-12:00",
        "14:30-17:30",
    )
    tariffs: _Tariffs = _Tariffs()
    sealed_area_m2: tuple[_Dated, ...] = ()
    local_days: tuple[_LocalDay, ...] = ()


def load_site(path: Path) -> m.Site:
    """Read and check site.yaml; ConfigError with every problem."""
    file = checked(path, read_mapping(path), SiteFile)
    problems = [Problem(str(path), *finding) for finding in _findings(file)]
    if problems:
        raise ConfigError(problems)
    return _site(file)


_Finding = tuple[str, str, str, str]


def _findings(file: SiteFile) -> Iterator[_Finding]:
    for key, ids in (
        ("buildings", [b.id for b in file.buildings]),
        ("meters", [x.id for x in file.meters]),
    ):
        for name, count in Counter(ids).items():
            if count > 1:
                yield key, "each id once", f"{name!r} {count} times", "rename one"
    for i, building in enumerate(file.buildings):
        yield from _unordered(f"buildings.{i}.area_m2", building.area_m2)
        yield from _unordered(f"buildings.{i}.people", building.people)
    yield from _references(file)


def _references(file: SiteFile) -> Iterator[_Finding]:
    places = {b.id for b in file.buildings} | {file.site.id}
    meters = {x.id: x for x in file.meters}
    for i, meter in enumerate(file.meters):
        if meter.building not in places:
            yield f"meters.{i}.building", f"one of {sorted(places)}", meter.building, "correct it"
        if MEASURANDS[meter.measurand].medium != meter.carrier.value:
            got = f"{meter.measurand} on {meter.carrier}"
            yield f"meters.{i}.measurand", f"a counter of {meter.carrier}", got, "correct one"
        yield from _parent(i, meter, meters)
        moments = [r.at.isoformat() for r in meter.replacements]
        if moments != sorted(set(moments)):
            got = ", ".join(moments)
            yield f"meters.{i}.replacements", "exchanges in order, each once", got, "sort them"
    for i, gate in enumerate(file.gates):
        if gate.building not in places:
            yield f"gates.{i}.building", f"one of {sorted(places)}", gate.building, "correct it"


def _unordered(key: str, rows: Sequence[_Dated]) -> Iterator[_Finding]:
    days = [r.valid_from for r in rows]
    if days != sorted(set(days)):
        yield key, "rows in order of `from`, each day once", ", ".join(map(str, days)), "sort them"


def _parent(i: int, meter: _Meter, meters: dict[str, _Meter]) -> Iterator[_Finding]:
    if meter.parent is None:
        return
    if meter.parent not in meters:
        yield f"meters.{i}.parent", "a meter's id", meter.parent, "correct it"
        return
    if meters[meter.parent].carrier is not meter.carrier:
        got = f"{meter.parent}, a {meters[meter.parent].carrier} meter"
        yield f"meters.{i}.parent", f"a {meter.carrier} meter", got, "correct it"
    seen, at = {meter.id}, meter.parent
    while at in meters and at not in seen:
        seen.add(at)
        at = meters[at].parent or ""
    if at == meter.id:
        yield f"meters.{i}.parent", "a tree", f"{meter.id} lies below itself", "cut the circle"


def _dated(rows: Sequence[_Dated]) -> tuple[m.Dated, ...]:
    return tuple(m.Dated(r.valid_from, r.value) for r in rows)


def _hours(text: str) -> m.WorkHours:
    start, end = (time.fromisoformat(part) for part in text.split("-"))
    return m.WorkHours(start, end)


def _meter(x: _Meter, zone: ZoneInfo) -> m.Meter:
    swaps = tuple(
        m.Replacement(_instant_ms(r.at, zone), r.closing, r.opening) for r in x.replacements
    )
    return m.Meter(**{**x.model_dump(), "tags": frozenset(x.tags), "replacements": swaps})


def _instant_ms(at: datetime, zone: ZoneInfo) -> int:
    moment = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    return round(moment.timestamp() * 1000)


def _site(file: SiteFile) -> m.Site:
    zone = ZoneInfo(file.site.timezone)
    return m.Site(
        id=file.site.id,
        name=file.site.name,
        organization=file.site.organization,
        zone=zone,
        region=file.site.region,
        buildings=tuple(
            m.Building(b.id, b.name, _dated(b.area_m2), _dated(b.people)) for b in file.buildings
        ),
        meters=tuple(_meter(x, zone) for x in file.meters),
        gates=tuple(m.Gate(g.device, g.name, g.building) for g in file.gates),
        thermometer=file.thermometer,
        work_hours=tuple(_hours(t) for t in file.work_hours),
        electricity_tariff=file.tariffs.electricity,
        water_tariff=file.tariffs.water,
        sealed_area_m2=_dated(file.sealed_area_m2),
        local_days=tuple((d.day, d.is_workday) for d in file.local_days),
    )
