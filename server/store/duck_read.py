"""Reading the embedded store: packed columns and raw rows become one series a point."""

from itertools import pairwise
from typing import Any

import duckdb
import numpy as np

from contract.reading import Reason
from server.periods import DAY_MS, Interval
from server.series import Series, Times, Values
from server.store.packed import Packing

_LONG_MS = 4 * DAY_MS


def read_packed(
    reader: duckdb.DuckDBPyConnection,
    packings: dict[int, Packing],
    numbers: list[int],
    interval: Interval,
) -> dict[int, tuple[Times, Values]]:
    """Give packed readings, times and values, by point number.

    Long spans are read point by point, short ones of many points at once: each way is
    several times faster than the other where it is used.
    """
    out: dict[int, tuple[Times, Values]] = {}
    one_by_one = interval.end_ms - interval.start_ms > _LONG_MS
    for unit in {packings[n].unit_ms for n in numbers if n in packings}:
        mine = [n for n in numbers if n in packings and packings[n].unit_ms == unit]
        bounds = [-(-interval.start_ms // unit), -(-interval.end_ms // unit)]
        if one_by_one:
            found = _one_by_one(reader, {n: packings[n] for n in mine}, bounds)
        else:
            got = reader.execute(
                "SELECT point, slot, scaled FROM packed WHERE point IN (SELECT unnest(?))"
                " AND slot >= ? AND slot < ?",
                [mine, *bounds],
            ).fetchnumpy()
            found = by_point(got, "slot", "scaled")
        for number, (slots, scaled) in found.items():
            how = packings[number]
            out[number] = how.times(slots), how.values(scaled)
    return out


def _one_by_one(
    reader: duckdb.DuckDBPyConnection, packings: dict[int, Packing], bounds: list[int]
) -> dict[int, tuple[Times, Any]]:
    out = {}
    for number, how in packings.items():
        got = reader.execute(
            f"SELECT {how.columns} FROM packed WHERE point = ? AND slot >= ? AND slot < ?",
            [number, *bounds],
        ).fetchnumpy()
        slots, scaled = np.asarray(got["slot"]), np.asarray(got["scaled"])
        if not len(slots):
            continue
        if (slots[1:] < slots[:-1]).any():
            order = np.argsort(slots, kind="stable")
            slots, scaled = slots[order], scaled[order]
        out[number] = slots, scaled
    return out


def by_point(got: dict[str, Any], time: str, value: str) -> dict[int, tuple[Times, Any]]:
    """Split columns by point, each sorted by time; of rows at one time the last."""
    number, times, values = (np.asarray(got[k]) for k in ("point", time, value))
    if not len(number):
        return {}
    order = None
    same = number[1:] == number[:-1]
    if ((number[1:] < number[:-1]) | (same & (times[1:] < times[:-1]))).any():
        order = np.lexsort((times, number))
        number, times, values = number[order], times[order], values[order]
        same = number[1:] == number[:-1]
    doubled = same & (times[1:] == times[:-1])
    if doubled.any():
        last = np.concatenate([~doubled, [True]])
        number, times, values = number[last], times[last], values[last]
    cuts = [0, *(np.flatnonzero(number[1:] != number[:-1]) + 1).tolist(), len(number)]
    return {int(number[a]): (times[a:b], values[a:b]) for a, b in pairwise(cuts)}


def merged(parts: list[tuple[Times, Values]]) -> Series:
    """Join packed and later readings of a point; of two at one time the later counts."""
    if len(parts) == 1:
        return Series(np.asarray(parts[0][0], np.int64), np.asarray(parts[0][1], np.float64))
    times = np.concatenate([p[0] for p in parts])
    values = np.concatenate([p[1] for p in parts])
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    last = np.concatenate([times[1:] != times[:-1], [True]])
    return Series(np.asarray(times[last], np.int64), np.asarray(values[last], np.float64))


def count_readings(
    reader: duckdb.DuckDBPyConnection, numbers: list[int], interval: Interval
) -> int:
    """Count the points' readings, bad ones too; one written twice counts once.

    What lies packed is there once; only what came since can be there doubly.
    """
    span = [interval.start_ms, interval.end_ms]
    reader.execute("BEGIN")
    try:
        found = reader.execute(
            """
            WITH wanted AS (SELECT unnest(?) AS point),
            loose AS (
              SELECT point, time_ms FROM raw SEMI JOIN wanted USING (point)
              WHERE time_ms >= ? AND time_ms < ?
              UNION
              SELECT point, time_ms FROM flag SEMI JOIN wanted USING (point)
              WHERE reason >= ? AND time_ms >= ? AND time_ms < ?),
            fixed AS (
              SELECT point, slot * unit_ms AS time_ms FROM packed JOIN packing USING (point)
              SEMI JOIN wanted USING (point)
              WHERE slot * unit_ms >= ? AND slot * unit_ms < ?)
            SELECT (SELECT count(*) FROM fixed)
              + (SELECT count(*) FROM loose ANTI JOIN fixed USING (point, time_ms))
            """,
            [numbers, *span, int(Reason.TIMEOUT), *span, *span],
        ).fetchall()
    finally:
        reader.execute("ROLLBACK")
    return int(found[0][0])


def read_doubts(
    reader: duckdb.DuckDBPyConnection, numbers: list[int], interval: Interval, reason: Reason
) -> dict[int, Times]:
    """Give when points were said to be doubtful for a reason, by point number."""
    got = reader.execute(
        "SELECT DISTINCT point, time_ms FROM flag WHERE reason = ? AND time_ms >= ?"
        " AND time_ms < ? AND point IN (SELECT unnest(?)) ORDER BY point, time_ms",
        [int(reason), interval.start_ms, interval.end_ms, numbers],
    ).fetchnumpy()
    point, times = np.asarray(got["point"]), np.asarray(got["time_ms"], np.int64)
    return {int(n): times[point == n] for n in np.unique(point)}
