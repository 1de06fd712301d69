"""What the jobs do: new hours, late readings, virtual meters, the tree, and reading it back."""

import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from server.factbook.load import load_factbook
from server.jobs.rolling import roll_up_spans
from server.jobs.works import Works
from server.periods import DAY_MS, HOUR_MS, MINUTE_MS, Interval, Step, edges
from server.rollup.combine import coarsen
from server.rollup.interval import rollup
from server.rollup.model import Rollup
from server.rollup.places import evaluate, with_computed
from server.series import Series
from server.site.expression import Linear
from server.site.model import MeterKind, Site
from server.state import open_state
from server.store.duck import DuckStore
from tests.bench.meters import (
    HOW,
    METERS,
    T0,
    ZONE,
    Row,
    flat,
    meter,
    meter_of,
    point,
    timed,
    tree_site,
)


def small(folder: Path) -> list[Row]:
    """One meter-year; a thousand meters' new hour; a virtual meter; a tree; late readings."""
    rng = np.random.default_rng(2)
    year = next(iter(meter_of(rng, 365, 1)))
    grid = edges(Interval(T0, T0 + 365 * DAY_MS), Step.QUARTER, ZONE)
    _, year_s = timed(lambda: rollup("m", year, grid, Step.QUARTER, how=HOW, zone=ZONE), 5)
    half = Series(year.times_ms[: len(year) // 2], year.values[: len(year) // 2])
    _, half_s = timed(lambda: rollup("m", half, grid, Step.QUARTER, how=HOW, zone=ZONE), 5)
    return [
        ("1 meter × 1 year × 1 min", f"{year_s * 1000:.0f} ms", "≤ 500 ms"),
        ("… ÷ half a year", f"{year_s / half_s:.1f}", "≈ 2"),
        ("10-term virtual meter × 720 h", f"{virtual_ms():.2f} ms", "≤ 20 ms"),
        ("tree of 61 places, 200 meters × 24 h", f"{tree_ms():.1f} ms", "same pass"),
        *new_hour(folder / "hour"),
        *late(folder / "late", 30),
    ]


def virtual_ms() -> float:
    grid = edges(Interval(T0, T0 + 30 * DAY_MS), Step.HOUR, ZONE)
    parts = {f"M{i}": flat(f"M{i}", grid, Step.HOUR) for i in range(10)}
    linear = Linear(tuple((m, Fraction(1, i + 1)) for i, m in enumerate(parts)))
    virtual = replace(meter("V"), kind=MeterKind.VIRTUAL)
    return timed(lambda: evaluate(virtual, linear, parts), 9)[1] * 1000


def tree_ms() -> float:
    site = tree_site(METERS, 59)  # 59 areas, the building, the site
    grid = edges(Interval(T0, T0 + DAY_MS), Step.QUARTER, ZONE)
    real = {m.id: flat(m.id, grid, Step.QUARTER) for m in site.meters}

    def act() -> float:
        found = with_computed(site, real, Step.QUARTER, grid)
        hours = edges(Interval(T0, T0 + DAY_MS), Step.HOUR, ZONE)
        return float(coarsen(found["s:electricity"], hours, Step.HOUR).values[0])

    result, took_s = timed(act, 5)
    assert result == 1.25 * 4 * METERS
    return took_s * 1000


def works_of(folder: Path, site: Site) -> tuple[Works, DuckStore]:
    folder.mkdir()
    state = open_state(f"sqlite:///{folder / 's.db'}")
    store = DuckStore(folder / "r.duckdb")
    return Works(store, state, site, load_factbook(), ()), store


def counters(store: DuckStore, meters: int, start_ms: int, minutes: int) -> None:
    base = (start_ms - T0) // MINUTE_MS + 1
    for first in range(0, minutes, 60):
        lines = [
            f"electricity,device=M{m},site=s energy_import_kwh={round(0.01 * (base + n), 2)!r}"
            f" {start_ms + n * MINUTE_MS}"
            for n in range(first, min(first + 60, minutes))
            for m in range(meters)
        ]
        store.write_lines("\n".join(lines).encode())


def new_hour(folder: Path) -> list[Row]:
    """Roll up the newest hour of a thousand meters, with a day of readings behind it."""
    site = tree_site(1000, 30)
    works, store = works_of(folder, site)
    now = T0 + 25 * HOUR_MS
    counters(store, 1000, T0, 24 * 60)
    everything = {m.id: [Interval(T0, T0 + 24 * HOUR_MS)] for m in site.meters}
    roll_up_spans(works, everything, now, {})
    counters(store, 1000, T0 + 24 * HOUR_MS, 61)
    hour = {m.id: [Interval(T0 + 24 * HOUR_MS, now)] for m in site.meters}
    began_s = time.perf_counter()
    done = roll_up_spans(works, hour, now, {})
    took_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    roll_up_spans(works, hour, now, {})
    again_s = time.perf_counter() - began_s
    store.close()
    return [
        ("1,000 meters × 1 new hour", f"{took_s:.2f} s, {done.written:,} rows written", "≤ 0.3 s"),
        ("… again, nothing changed", f"{again_s:.2f} s", ""),
    ]


def late(folder: Path, days: int) -> list[Row]:
    """10,000 late readings of 200 meters over 30 days."""
    site = tree_site(METERS, 30)
    works, store = works_of(folder, site)
    now = T0 + days * DAY_MS
    rng = np.random.default_rng(3)
    held: list[tuple[int, int, float]] = []
    n = days * 1440
    for m in range(METERS):
        times = T0 + np.arange(n) * MINUTE_MS
        values = np.round(np.arange(n) * 0.01 + 5, 2)
        gone = np.zeros(n, bool)
        at = int(rng.integers(1500, n - 200))
        gone[at : at + 50] = True
        held += [(m, int(t), float(v)) for t, v in zip(times[gone], values[gone], strict=True)]
        store.load_series(point(m), Series(times[~gone], values[~gone]))
    store.maintain(2**40, now, None)
    whole = {m.id: [Interval(T0, now)] for m in site.meters}
    began_s = time.perf_counter()
    roll_up_spans(works, whole, now, {})
    first_s = time.perf_counter() - began_s
    mark = store.written_since("s", 0, now).mark
    body = "\n".join(
        f"electricity,device=M{m},site=s energy_import_kwh={v!r} {t}" for m, t, v in held
    )
    store.write_lines(body.encode())
    began_s = time.perf_counter()
    written = store.written_since("s", mark, now)
    spans = {p.device: list(found) for p, found in written.spans.items()}
    done = roll_up_spans(works, spans, now, {})
    took_s = time.perf_counter() - began_s
    store.close()
    return [
        ("200 meters × 30 days, everything", f"{first_s:.2f} s", ""),
        (f"{len(held):,} late readings", f"{took_s:.2f} s, {done.written:,} rows written", "≤ 2 s"),
    ]


def from_rollups(folder: Path, days: int, sql_s: float) -> list[Row]:
    """The hourly series of 200 meters, out of the rollups, over the days the SQL went through."""
    site = tree_site(METERS, 30)
    works, store = works_of(folder / "rollups", site)
    span = Interval(T0, T0 + days * DAY_MS)
    grid = edges(span, Step.HOUR, ZONE)
    rng = np.random.default_rng(4)
    n = len(grid) - 1
    store.write_rollups(
        site,
        [
            Rollup(
                m.id, Step.HOUR, grid, np.round(rng.uniform(0, 60, n), 2), np.ones(n),
                np.zeros(n, np.int8),
            )
            for m in site.meters
        ],
    )  # fmt: skip
    ids = [m.id for m in works.site.meters]
    _, took_s = timed(lambda: store.read_rollups(site, ids, Step.HOUR, span), 5)
    store.close()
    return [
        (f"hours of 200 meters × {days} days, from rollups", f"{took_s * 1000:.0f} ms", ""),
        ("… ÷ the SQL window over the same days", f"{took_s / sql_s:.4f}", "≤ 0.02"),
    ]
