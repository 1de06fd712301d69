"""Virtual and residual meters, and the totals of places: everything computed from other meters.

All in one pass over the meters' quarter-hour rollups, whatever the depth of the tree.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from server.periods import HOUR_MS, Step
from server.rollup.combine import combine
from server.rollup.interval import missing
from server.rollup.model import Grade, Rollup
from server.rollup.ticks import PER_UNIT, to_ticks, to_values
from server.series import Times
from server.site.expression import Linear
from server.site.model import Carrier, Meter, MeterKind, Role, Site

_MARK = ":"  # no id contains it


def place_key(place: str, carrier: Carrier) -> str:
    """Give the key of a place's total."""
    return f"{place}{_MARK}{carrier}"


def place_of(key: str) -> tuple[str, Carrier] | None:
    """Give (place, carrier) of a place's key; None for a meter's."""
    place, mark, carrier = key.rpartition(_MARK)
    return (place, Carrier(carrier)) if mark else None


def linear_of(meter: Meter, site: Site) -> Linear | None:
    """Give what a virtual or residual meter is the sum of; None for the others."""
    if meter.kind is MeterKind.VIRTUAL:
        return meter.expression
    if meter.kind is MeterKind.RESIDUAL and meter.of is not None:
        below = [
            m.id for m in site.meters
            if m.parent == meter.of and m.kind is not MeterKind.RESIDUAL
        ]  # fmt: skip
        shares = [(meter.of, Fraction(1)), *((m, Fraction(-1)) for m in below)]
        return Linear(tuple(shares))
    return None


def in_order(site: Site) -> tuple[Meter, ...]:
    """Give the computed meters, each after those it is made of."""
    done: dict[str, Meter] = {}
    computed = {m.id: (m, linear_of(m, site)) for m in site.meters}

    def visit(meter_id: str) -> None:
        meter, linear = computed[meter_id]
        if linear is None or meter_id in done:
            return
        for part in linear.meters:
            visit(part)
        done[meter_id] = meter

    for meter_id in computed:
        visit(meter_id)
    return tuple(done.values())


def parts_of(site: Site, meter_id: str) -> set[str]:
    """Give every meter that another is made of, at any depth, itself included."""
    out: set[str] = set()
    todo = [meter_id]
    while todo:
        at = todo.pop()
        if at not in out:
            out.add(at)
            linear = linear_of(site.meter(at), site)
            todo += linear.meters if linear else ()
    return out


def evaluate(meter: Meter, linear: Linear, parts: Mapping[str, Rollup]) -> Rollup:
    """Compute a virtual or residual meter, interval by interval.

    Missing parts: a plain sum is the sum of what is known, with less coverage; where something
    is taken away nothing is known without every part.  A share other than 1 is allocated, a
    constant load or a difference derived.
    """
    rows = [parts[m] for m in linear.meters]
    first = rows[0]
    shares = [s for _, s in linear.shares]
    known = np.stack([~np.isnan(r.values) for r in rows])
    ticks = np.stack([to_ticks(np.nan_to_num(r.values)) for r in rows])
    total = sum(
        (_scaled(t, s) for t, s in zip(ticks, shares, strict=True)),
        _constant(linear, first.edges_ms),
    )
    is_sum = all(s > 0 for s in shares)
    has_value = known.any(axis=0) if is_sum else known.all(axis=0)
    grades = np.max(np.where(known, np.stack([r.grades for r in rows]), 0), axis=0)
    floor = Grade.MEASURED if set(shares) == {1} and not linear.load else Grade.DERIVED
    if any(abs(s) != 1 for s in shares):
        floor = Grade.ALLOCATED
    grades = np.maximum(grades, floor)
    grades = np.where(known.all(axis=0), grades, np.maximum(grades, Grade.ESTIMATED))
    return Rollup(
        meter.id,
        first.step,
        first.edges_ms,
        np.where(has_value, to_values(total), np.nan),
        np.where(has_value, np.mean([r.coverage for r in rows], axis=0), 0.0),
        np.where(has_value, grades, Grade.MISSING).astype(np.int8),
    )


def _scaled(ticks: np.ndarray, share: Fraction) -> np.ndarray:
    if share.denominator == 1:
        return ticks * share.numerator
    return np.rint(ticks * float(share)).astype(np.int64)


def _constant(linear: Linear, edges_ms: Times) -> np.ndarray:
    per_ms = float(linear.load) * PER_UNIT / HOUR_MS
    return np.rint(np.diff(edges_ms) * per_ms).astype(np.int64)


def places(site: Site) -> tuple[str, ...]:
    """Give every place that can have a total: site, buildings, areas."""
    return (site.id, *(b.id for b in site.buildings), *(a.id for a in site.areas))


def counted_for(site: Site, place: str, carrier: Carrier) -> tuple[str, ...]:
    """Give the keys whose sum is a place's total: its mains, else its parts and its own subs.

    A total never holds a meter and one below it; the site never holds a ledger building.
    """
    mine = [
        m for m in site.meters
        if m.carrier is carrier and m.is_counted and m.kind is not MeterKind.RESIDUAL
    ]  # fmt: skip
    areas = {a.id: a for a in site.areas}
    if place in areas:
        own = [m for m in mine if m.area == place]
        return _tops(own) or _below(site, [a.id for a in site.areas if a.parent == place], carrier)
    here = [m for m in mine if m.building == place]
    mains = [m for m in here if m.role is Role.MAIN]
    if mains:
        return _tops(mains)
    if place == site.id:
        return _below(site, [b.id for b in site.compound_buildings], carrier)
    loose = [m for m in here if m.area is None]
    tops = [a.id for a in site.areas if a.building == place and a.parent is None]
    return (*_tops(loose), *_below(site, tops, carrier))


def _tops(meters: Sequence[Meter]) -> tuple[str, ...]:
    """Give the meters that lie under none of the others and are not made of them."""
    ids = {m.id for m in meters}
    return tuple(m.id for m in meters if m.parent not in ids and m.kind is not MeterKind.VIRTUAL)


def _below(site: Site, parts: Sequence[str], carrier: Carrier) -> tuple[str, ...]:
    return tuple(place_key(p, carrier) for p in parts if counted_for(site, p, carrier))


def with_computed(
    site: Site, real: Mapping[str, Rollup], step: Step, grid: Times
) -> dict[str, Rollup]:
    """Give all rollups on one grid: real meters as given, computed meters, totals of places."""
    out = dict(real)
    for meter in in_order(site):
        linear = linear_of(meter, site)
        if linear is not None:
            parts = {m: out.get(m, missing(m, step, grid)) for m in linear.meters}
            out[meter.id] = evaluate(meter, linear, parts)
    for carrier in Carrier:
        for place in reversed(places(site)):  # areas before buildings before the site
            _total(site, place, carrier, out, step, grid)
    return out


def _total(
    site: Site, place: str, carrier: Carrier, out: dict[str, Rollup], step: Step, grid: Times
) -> None:
    key = place_key(place, carrier)
    if key in out:
        return
    keys = counted_for(site, place, carrier)
    for part in keys:
        inner = place_of(part)
        if inner is not None:
            _total(site, inner[0], carrier, out, step, grid)
    if keys:
        out[key] = combine(key, [out.get(k, missing(k, step, grid)) for k in keys])
