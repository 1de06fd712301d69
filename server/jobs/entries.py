"""Repairs as the rollup takes them, and what it could not take."""

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation

import numpy as np

from server.periods import HOUR_MS, Interval
from server.rollup.ticks import PER_UNIT
from server.rollup.track import NO_ENTRIES, Entries, Fixed
from server.series import Series
from server.site.model import Meter, MeterKind
from server.state import State
from server.state.books import NewRepair, Repair, RepairKind

FIXED = "fixed_before"  # mark: what is older stands, since its readings are no longer kept
MOST = 1e9  # kWh, m³ or yuan: no register, bill or interval of a compound is as large


def entries_by_meter(repairs: Iterable[Repair]) -> Mapping[str, Entries]:
    """Give each meter's entries; of two repairs on one instant or span the later entered counts."""
    by_meter: dict[str, list[Repair]] = {}
    for repair in repairs:
        by_meter.setdefault(repair.meter, []).append(repair)
    return {meter: entries_of(found) for meter, found in by_meter.items()}


def entries_of(repairs: list[Repair]) -> Entries:
    """Give the entries of one meter's repairs, oldest first."""
    if not repairs:
        return NO_ENTRIES
    readings: dict[int, float] = {}
    excluded: list[Interval] = []
    fixed: list[Fixed] = []
    for repair in repairs:
        span = Interval(repair.start_ms, repair.end_ms)
        if repair.kind in {RepairKind.EXCLUDE, RepairKind.REPLACE}:
            excluded.append(span)
            readings = {t: v for t, v in readings.items() if not span.start_ms <= t < span.end_ms}
        for time_ms, register in repair.content.get("readings", ()):
            readings[int(time_ms)] = float(register)
        if repair.kind is RepairKind.BILL:
            fixed = _with(fixed, Fixed(span, _ticks(repair.content["quantity"])))
        for start_ms, end_ms, quantity in repair.content.get("intervals", ()):
            part = Fixed(Interval(int(start_ms), int(end_ms)), _ticks(quantity))
            fixed = _with(fixed, part)
    times = np.array(sorted(readings), np.int64)
    values = np.array([readings[int(t)] for t in times], np.float64)
    return Entries(Series(times, values), tuple(excluded), tuple(fixed))


def _ticks(quantity: str | float) -> int:
    return int((Decimal(str(quantity)) * PER_UNIT).to_integral_value())


def _with(fixed: list[Fixed], new: Fixed) -> list[Fixed]:
    """Add a quantity; an older one that it overlaps gives way."""
    kept = [
        f for f in fixed
        if f.interval.end_ms <= new.interval.start_ms or f.interval.start_ms >= new.interval.end_ms
    ]  # fmt: skip
    return [*kept, new]


def fixed_before(state: State, meter: Meter) -> int:
    """Give the instant before which a meter's consumption is not computed again.

    Meters without a device live by the books, which are always kept.
    """
    return (state.mark(FIXED) or 0) if meter.kind is MeterKind.REAL else 0


def faults_of(new: NewRepair, now_ms: int, fixed_ms: int) -> Iterator[str]:
    """Give what is wrong with a repair as `what: expected …, got …`: once in the books it counts.

    Only exclusions may reach into the future: a quantity is known when its span is over.
    """
    if new.start_ms < fixed_ms:
        expected = f"{fixed_ms} or later: readings are kept from there"
        yield f"start: expected {expected}, got {new.start_ms}"
    if not 0 <= new.start_ms < new.end_ms:
        yield f"end: expected after the start {new.start_ms}, got {new.end_ms}"
    elif new.kind is not RepairKind.EXCLUDE and new.end_ms > now_ms + HOUR_MS:
        yield f"end: expected a span that is over, got {new.end_ms}, now {now_ms}"
    for time_ms, register in new.content.get("readings", ()):
        if not new.start_ms <= time_ms < new.end_ms:
            yield f"readings: expected a time within the span, got {time_ms}"
        if not (math.isfinite(register) and 0 <= register <= MOST):
            yield f"readings: expected 0 to {MOST:g}, got {register}"
    for key in ("quantity", "yuan"):
        if key in new.content and not _is_amount(new.content[key]):
            yield f"{key}: expected 0 to {MOST:g}, got {new.content[key]}"
    yield from _interval_faults(new)


def _interval_faults(new: NewRepair) -> Iterator[str]:
    last_ms = new.start_ms
    for start_ms, end_ms, quantity in new.content.get("intervals", ()):
        if not last_ms <= start_ms < end_ms <= new.end_ms:
            got = f"{start_ms} to {end_ms}"
            yield f"intervals: expected one after the other within the span, got {got}"
        if not _is_amount(quantity):
            yield f"intervals: expected 0 to {MOST:g}, got {quantity}"
        last_ms = end_ms


def _is_amount(text: str) -> bool:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return False
    return value.is_finite() and 0 <= value <= Decimal(MOST)
