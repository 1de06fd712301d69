"""What pydantic cannot see: references, circles, dates in order, scopes kept apart."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

from contract.measurand import MEASURANDS
from server.site import model as m
from server.site import schema as s
from server.site.expression import parse

Finding = tuple[str, str, str, str]
_POWER_MEDIUM = {"power_kw": m.Carrier.ELECTRICITY, "flow_m3_per_h": m.Carrier.WATER}


def instant_ms(at: datetime | date, zone: ZoneInfo) -> int:
    """Give a moment as epoch ms; a day is its midnight, a time without offset is the site's."""
    if not isinstance(at, datetime):
        at = datetime.combine(at, time(0))
    moment = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    return round(moment.timestamp() * 1000)


def findings(file: s.SiteFile) -> Iterator[Finding]:
    """Give everything that does not fit: key, expected, got, fix."""
    for key, ids in (
        ("buildings", [b.id for b in file.buildings]),
        ("areas", [a.id for a in file.areas]),
        ("meters", [x.id for x in file.meters]),
    ):
        for name, count in Counter(ids).items():
            if count > 1:
                yield key, "each id once", f"{name!r} {count} times", "rename one"
    for i, building in enumerate(file.buildings):
        if building.id == file.site.id:
            yield f"buildings.{i}.id", "another id than the site's", building.id, "rename it"
        yield from _unordered(f"buildings.{i}.area_m2", building.area_m2)
        yield from _unordered(f"buildings.{i}.people", building.people)
    yield from _unordered("sealed_area_m2", file.sealed_area_m2)
    yield from _hours(file)
    yield from _areas(file)
    yield from _meters(file)
    places = _places(file)
    for i, gate in enumerate(file.gates):
        if gate.building not in places:
            yield f"gates.{i}.building", f"one of {sorted(places)}", gate.building, "correct it"


def _places(file: s.SiteFile) -> set[str]:
    return {b.id for b in file.buildings} | {file.site.id}


def _hours(file: s.SiteFile) -> Iterator[Finding]:
    yield from _spans("work_hours", file.work_hours)
    for i, season in enumerate(file.seasons):
        yield from _spans(f"seasons.{i}.work_hours", season.work_hours)
        for key, text in (("from", season.start), ("to", season.end)):
            try:
                date.fromisoformat(f"2024-{text}")  # a leap year, so that 02-29 is a day
            except ValueError:
                yield f"seasons.{i}.{key}", "a day of the year such as 05-01", text, "correct it"
        if season.start == season.end:
            yield f"seasons.{i}.to", f"another day than {season.start}", season.end, "correct it"


def _spans(key: str, texts: Sequence[str]) -> Iterator[Finding]:
    before = time(0)
    for i, text in enumerate(texts):
        try:
            start, end = (time.fromisoformat(part) for part in text.split("-"))
        except ValueError:
            yield f"{key}.{i}", "hours such as 08:00-12:00", text, "correct it"
            continue
        if not before <= start < end:
            yield f"{key}.{i}", "spans in order, none overlapping", text, "sort them"
        before = end


def _areas(file: s.SiteFile) -> Iterator[Finding]:
    areas = {a.id: a for a in file.areas}
    buildings = {b.id for b in file.buildings}
    for i, area in enumerate(file.areas):
        key = f"areas.{i}"
        if area.building not in buildings:
            yield f"{key}.building", f"one of {sorted(buildings)}", area.building, "correct it"
        yield from _unordered(f"{key}.area_m2", area.area_m2)
        spans = [(x.start, x.end or date.max) for x in area.sealed]
        if any(a >= b for a, b in spans) or spans != sorted(spans) or _overlap(spans):
            got = ", ".join(f"{a}–{b}" for a, b in spans)
            yield f"{key}.sealed", "spans in order, none overlapping", got, "sort and shorten them"
        if area.parent is None:
            continue
        if area.parent not in areas:
            yield f"{key}.parent", "an area's id", area.parent, "correct it"
        elif areas[area.parent].building != area.building:
            got = f"{area.parent} in {areas[area.parent].building}"
            yield f"{key}.parent", f"an area of {area.building}", got, "correct it"
        elif _is_circle(area.id, {a.id: a.parent for a in file.areas}):
            yield f"{key}.parent", "a tree", f"{area.id} lies within itself", "cut the circle"


def _overlap(spans: Sequence[tuple[date, date]]) -> bool:
    return any(a[1] > b[0] for a, b in pairwise(spans))


def _is_circle(start: str, parent_of: dict[str, str | None]) -> bool:
    seen, at = {start}, parent_of.get(start)
    while at is not None and at not in seen:
        seen.add(at)
        at = parent_of.get(at)
    return at == start


def _meters(file: s.SiteFile) -> Iterator[Finding]:
    meters = {x.id: x for x in file.meters}
    zone = ZoneInfo(file.site.timezone)
    yield from _shared_points(file)
    for i, meter in enumerate(file.meters):
        yield from _place(file, i, meter)
        yield from _parent(i, meter, meters)
        yield from _dates(i, meter, zone)
        yield from _made_of(file, i, meter, meters)
        if meter.measurand is not None:
            medium = _POWER_MEDIUM.get(meter.measurand) or MEASURANDS[meter.measurand].medium
            if str(medium) != meter.carrier.value:
                got = f"{meter.measurand} on {meter.carrier}"
                yield f"meters.{i}.measurand", f"a quantity of {meter.carrier}", got, "correct one"
        if meter.measurand in s.POWERS and (meter.replacements or meter.rollover):
            got = f"replacements or rollover on {meter.measurand}"
            yield f"meters.{i}", "those of a counter only", got, "remove them"


def _shared_points(file: s.SiteFile) -> Iterator[Finding]:
    seen: dict[tuple[str | None, str, str | None], str] = {}
    for i, meter in enumerate(file.meters):
        point = (meter.device, meter.channel, meter.measurand)
        if meter.device is None:
            continue
        if point in seen:
            got = f"{meter.device} {meter.channel} {meter.measurand}, as {seen[point]} has"
            yield f"meters.{i}.device", "a register of its own", got, "correct device or channel"
        seen.setdefault(point, meter.id)


def _place(file: s.SiteFile, i: int, meter: s.Meter) -> Iterator[Finding]:
    places = _places(file)
    if meter.building not in places:
        yield f"meters.{i}.building", f"one of {sorted(places)}", meter.building, "correct it"
    if meter.area is not None:
        own = {a.id for a in file.areas if a.building == meter.building}
        if meter.area not in own:
            got = f"{meter.area} for a meter of {meter.building}"
            yield f"meters.{i}.area", f"one of {sorted(own) or 'no area'}", got, "correct it"


def _unordered(key: str, rows: Sequence[s.Dated]) -> Iterator[Finding]:
    days = [r.valid_from for r in rows]
    if days != sorted(set(days)):
        yield key, "rows in order of `from`, each day once", ", ".join(map(str, days)), "sort them"


def _parent(i: int, meter: s.Meter, meters: dict[str, s.Meter]) -> Iterator[Finding]:
    if meter.parent is None:
        return
    key = f"meters.{i}.parent"
    if meter.parent not in meters:
        yield key, "a meter's id", meter.parent, "correct it"
        return
    if meters[meter.parent].carrier is not meter.carrier:
        got = f"{meter.parent}, a {meters[meter.parent].carrier} meter"
        yield key, f"a {meter.carrier} meter", got, "correct it"
    if _is_circle(meter.id, {x.id: x.parent for x in meters.values()}):
        yield key, "a tree", f"{meter.id} lies below itself", "cut the circle"


def _dates(i: int, meter: s.Meter, zone: ZoneInfo) -> Iterator[Finding]:
    swaps = [instant_ms(r.at, zone) for r in meter.replacements]
    if swaps != sorted(set(swaps)):
        got = ", ".join(r.at.isoformat() for r in meter.replacements)
        yield f"meters.{i}.replacements", "exchanges in order, each once", got, "sort them"
    for key in ("rollover", "ratio"):
        rows = getattr(meter, key)
        if isinstance(rows, tuple):
            moments = [instant_ms(r.valid_from, zone) for r in rows]
            if moments != sorted(set(moments)):
                got = ", ".join(str(r.valid_from) for r in rows)
                yield f"meters.{i}.{key}", "rows in order of `from`, each once", got, "sort them"
    last = -(2**62)
    for k, c in enumerate(meter.corrections):
        start = instant_ms(c.start, zone)
        end = 2**62 if c.end is None else instant_ms(c.end, zone)
        if start < last or end <= start:
            got = f"{c.start} – {c.end or '…'}"
            yield (
                f"meters.{i}.corrections.{k}", "spans in order, none overlapping", got,
                "shorten or sort them",
            )  # fmt: skip
        last = max(last, end)
    since, until = meter.since, meter.until
    if since is not None and until is not None:
        is_before = instant_ms(since, zone) < instant_ms(until, zone)
        if not is_before:
            yield f"meters.{i}.until", f"after {since}", str(until), "correct one"


def parts_of(meter: s.Meter, meters: dict[str, s.Meter]) -> tuple[str, ...]:
    """Give the meters another is computed from."""
    if meter.expression is not None:
        return parse(meter.expression).meters
    if meter.of is not None:
        below = [
            x.id for x in meters.values()
            if x.parent == meter.of and x.kind is not m.MeterKind.RESIDUAL
        ]  # fmt: skip
        return (meter.of, *below)
    return ()


def _made_of(
    file: s.SiteFile, i: int, meter: s.Meter, meters: dict[str, s.Meter]
) -> Iterator[Finding]:
    key = f"meters.{i}.{'expression' if meter.expression else 'of'}"
    parts = parts_of(meter, meters)
    scopes = {b.id: b.scope for b in file.buildings} | {file.site.id: m.Scope.COMPOUND}
    for part in parts:
        if part not in meters:
            close = "; ids with - need spaces around a minus" if "-" in part else ""
            yield key, "meters of this file", part + close, "correct it"
        elif meters[part].carrier is not meter.carrier:
            got = f"{part}, a {meters[part].carrier} meter"
            yield key, f"{meter.carrier} meters", got, "sum one carrier at a time"
        elif scopes.get(meters[part].building) != scopes.get(meter.building):
            got = f"{part} of the {scopes.get(meters[part].building)}"
            expected = f"meters of one scope ({scopes.get(meter.building)})"
            yield key, expected, got, "never sum compound and ledger"
    if meter.of is not None and len(parts) == 1:
        yield key, "a main meter with meters below it", meter.of, "give them `parent`, or drop it"
    if _is_made_of_itself(meter.id, meters):
        yield key, "no circle", f"{meter.id} is computed from itself", "cut the circle"


def _is_made_of_itself(start: str, meters: dict[str, s.Meter]) -> bool:
    seen: set[str] = set()
    todo = [start]
    while todo:
        at = todo.pop()
        if at in seen or at not in meters:
            continue
        seen.add(at)
        parts = parts_of(meters[at], meters)
        if start in parts:
            return True
        todo += parts
    return False
