"""Repairs as the rollup takes them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np

from server.periods import Interval
from server.rollup.ticks import PER_UNIT
from server.rollup.track import NO_ENTRIES, Entries, Fixed
from server.series import Series
from server.state.books import Repair, RepairKind


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
