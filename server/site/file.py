"""site.yaml → Site: strict, every problem at once."""

from collections.abc import Sequence
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from contract.errors import ConfigError, Problem
from server.site import model as m
from server.site import schema as s
from server.site.checks import findings, instant_ms
from server.site.expression import parse
from server.yaml_file import checked, read_mapping


def load_site(path: Path) -> m.Site:
    """Read and check site.yaml; ConfigError with every problem."""
    return site_of(read_site_file(path))


def read_site_file(path: Path) -> s.SiteFile:
    """Read and check site.yaml, as written; ConfigError with every problem."""
    file = checked(path, read_mapping(path), s.SiteFile)
    problems = [Problem(str(path), *finding) for finding in findings(file)]
    if problems:
        raise ConfigError(problems)
    return file


def check_document(path: Path, document: dict[str, Any]) -> m.Site:
    """Give the site of a document that is to stand at a path; ConfigError with every problem."""
    file = checked(path, document, s.SiteFile)
    problems = [Problem(str(path), *finding) for finding in findings(file)]
    if problems:
        raise ConfigError(problems)
    return site_of(file)


def _dated(rows: Sequence[s.Dated]) -> tuple[m.Dated, ...]:
    return tuple(m.Dated(r.valid_from, r.value) for r in rows)


def _hours(text: str) -> m.WorkHours:
    start, end = (time.fromisoformat(part) for part in text.split("-"))
    return m.WorkHours(start, end)


def _since(rows: float | tuple[s.Since, ...] | None, zone: ZoneInfo) -> tuple[m.Since, ...]:
    if rows is None:
        return ()
    if isinstance(rows, float):
        return (m.Since(None, rows),)
    return tuple(m.Since(instant_ms(r.valid_from, zone), r.value) for r in rows)


def _maybe_ms(at: s.Moment | None, zone: ZoneInfo) -> int | None:
    return None if at is None else instant_ms(at, zone)


def _meter(x: s.Meter, zone: ZoneInfo) -> m.Meter:
    return m.Meter(
        id=x.id,
        name=x.name,
        device=x.device or "",
        measurand=x.measurand or "",
        carrier=x.carrier,
        role=x.role,
        building=x.building,
        end_use=x.end_use,
        parent=x.parent,
        kind=x.kind,
        channel=x.channel,
        area=x.area,
        expression=None if x.expression is None else parse(x.expression),
        of=x.of,
        registers=_since(x.rollover, zone),
        ratios=_since(x.ratio, zone),
        corrections=tuple(
            m.Correction(instant_ms(c.start, zone), _maybe_ms(c.end, zone), c.factor, c.reason)
            for c in x.corrections
        ),
        replacements=tuple(
            m.Replacement(instant_ms(r.at, zone), r.closing, r.opening) for r in x.replacements
        ),
        max_power=x.max_power,
        max_spacing_min=x.max_spacing_min,
        is_fully_sub_metered=x.sub_metered == "full",
        since_ms=_maybe_ms(x.since, zone),
        until_ms=_maybe_ms(x.until, zone),
        is_counted=x.kind is not m.MeterKind.VIRTUAL if x.counted is None else x.counted,
        tags=frozenset(x.tags),
    )


def site_of(file: s.SiteFile) -> m.Site:
    """Give the site that a checked file describes."""
    zone = ZoneInfo(file.site.timezone)
    return m.Site(
        id=file.site.id,
        name=file.site.name,
        organization=file.site.organization,
        zone=zone,
        region=file.site.region,
        buildings=tuple(
            m.Building(b.id, b.name, _dated(b.area_m2), _dated(b.people), b.scope)
            for b in file.buildings
        ),
        areas=tuple(
            m.Area(
                a.id, a.name, a.building, a.parent, _dated(a.area_m2),
                tuple((x.start, x.end) for x in a.sealed),
            )
            for a in file.areas
        ),
        meters=tuple(_meter(x, zone) for x in file.meters),
        gates=tuple(m.Gate(g.device, g.name, g.building) for g in file.gates),
        thermometer=file.thermometer,
        work_hours=tuple(_hours(t) for t in file.work_hours),
        seasons=tuple(
            m.SeasonHours(_month_day(x.start), _month_day(x.end), tuple(map(_hours, x.work_hours)))
            for x in file.seasons
        ),
        electricity_tariff=file.tariffs.electricity,
        water_tariff=file.tariffs.water,
        sealed_area_m2=_dated(file.sealed_area_m2),
        local_days=tuple((d.day, d.is_workday) for d in file.local_days),
        balance_limit=file.balance.limit_percent / 100,
    )  # fmt: skip


def _month_day(text: str) -> tuple[int, int]:
    month, _, day = text.partition("-")
    return int(month), int(day)
