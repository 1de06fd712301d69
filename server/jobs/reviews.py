"""What a reviewer of the statistics would ask about, before it is entered or closed."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

from server.jobs.works import Works
from server.metrics.plausible import Doubt, doubt_places, doubt_price, doubt_year
from server.periods import Interval, Step, day_of, midnight_ms
from server.rollup.combine import total
from server.site.model import Site
from server.state.books import NewRepair, RepairKind

LIKE_DAYS = 10  # two bills are a year apart when their starts are 365 ± this many days apart


def doubts_of_bills(
    site: Site, standing: Sequence[NewRepair], new: Sequence[NewRepair]
) -> list[Doubt]:
    """Check bills: unit price in its band, and the quantity against the same bill a year ago."""
    out: list[Doubt | None] = []
    bills = [r for r in standing if r.kind is RepairKind.BILL]
    for r in new:
        if r.kind is not RepairKind.BILL:
            continue
        first, last = (day_of(t, site.zone) for t in (r.start_ms, r.end_ms - 1))
        subject = f"{r.meter} {first} – {last}"
        quantity = Decimal(r.content["quantity"])
        if "yuan" in r.content:
            carrier = site.meter(r.meter).carrier
            out.append(doubt_price(subject, carrier, quantity, Decimal(r.content["yuan"])))
        out += [
            doubt_year(subject, float(quantity), float(b.content["quantity"]))
            for b in bills
            if b.meter == r.meter and _is_year_before(b, r)
        ]
    return [d for d in out if d is not None]


def _is_year_before(old: NewRepair, new: NewRepair) -> bool:
    days = (new.start_ms - old.start_ms) / 86_400_000
    return abs(days - 365) <= LIKE_DAYS


def doubts_of_period(works: Works, span: Interval) -> Iterator[Doubt]:
    """Check a period before it is closed: meters against a year ago, areas and people."""
    site, store = works.site, works.store
    first = day_of(span.start_ms, site.zone)
    last = day_of(span.end_ms - 1, site.zone)
    earlier = Interval(
        midnight_ms(_year_before(first), site.zone),
        midnight_ms(_year_before(last) + timedelta(days=1), site.zone),
    )
    meters = [m.id for m in site.meters]
    now = store.read_rollups(site, meters, Step.DAY, span)
    before = store.read_rollups(site, meters, Step.DAY, earlier)
    for meter in meters:
        old, coverage, _ = total(before[meter])
        new, covered, _ = total(now[meter])
        found = doubt_year(meter, new, old) if min(coverage, covered) > 0.95 else None
        if found is not None:
            yield found
    yield from doubt_places(site, last.year)


def _year_before(day: date) -> date:
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - 1, day=28 if is_leap_day else day.day)
