"""make bench-server: what exact consumption costs, beside the plain ways of doing the same.

DAYS=365 for a whole year.  Everything is made, measured and compared in one run.
"""

import gzip
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from contract.reading import PointId
from server.factbook.load import load_factbook
from server.jobs.rolling import roll_up_spans
from server.jobs.works import Works
from server.periods import DAY_MS, HOUR_MS, MINUTE_MS, Interval, Step, edges
from server.rollup.combine import coarsen
from server.rollup.interval import rollup
from server.rollup.model import Grade, Rollup
from server.rollup.places import evaluate, with_computed
from server.rollup.track import Counting
from server.series import Series
from server.site.expression import Linear
from server.site.model import Area, Building, Carrier, Meter, MeterKind, Role, Site
from server.state import open_state
from server.store.duck import DuckStore
from server.store.duck_rewrite import rewrite
from tests.server.running import running_server

METERS, GROUP = 200, 25
T0 = 1_735_660_800_000
ZONE = ZoneInfo("Asia/Shanghai")
NAMES = ("energy_import_kwh", "power_kw", "power_factor")
Row = tuple[str, str, str]
T = TypeVar("T")


def main() -> int:
    """Measure; print the table."""
    days = int(os.environ.get("DAYS", "60"))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        path = Path(folder) / "year.duckdb"
        rows += load(path, days)
        rows += from_raw(path, days)
        rows += rounds(path, Path(folder))
        rows += small(Path(folder), days)
        rows += from_rollups(Path(folder), rows)
        rows += over_http(Path(folder))
    table = Table("figure", "value", "target", title=f"{METERS} meters · {days} days · 1 min")
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)
    return 0


def point(m: int, name: str = NAMES[0]) -> PointId:
    return PointId("s", f"M{m}", name)


def meter_of(rng: np.random.Generator, days: int, number: int) -> Iterator[Series]:
    """Give a meter's three series: 0.3 % missing, an outage, every fifth meter reset once."""
    n = days * 1440
    keep = rng.random(n) > 0.003
    at = int(rng.integers(0, n - 3000))
    keep[at : at + int(rng.integers(60, 2880))] = False
    daily = np.sin(np.arange(n) / 1440 * 2 * np.pi)
    kw = np.round(np.abs(20 + 10 * daily + rng.normal(0, 1.5, n)), 2)
    kwh = np.round(np.cumsum(kw) / 60 + 1000, 2)
    if number % 5 == 0:
        reset = int(rng.integers(1000, n - 1000))
        kwh[reset:] = np.round(kwh[reset:] - kwh[reset], 2)
    factor: np.ndarray = np.round(0.95 + rng.normal(0, 0.003, n), 3)
    times = (T0 + np.arange(n) * MINUTE_MS)[keep]
    for values in (kwh, kw, factor):
        yield Series(times, np.asarray(values[keep], np.float64))


def load(path: Path, days: int) -> list[Row]:
    rng = np.random.default_rng(1)
    store = DuckStore(path)
    began_s = time.perf_counter()
    count = 0
    for m in track(range(METERS), "loading", console=Console(stderr=True)):
        for name, series in zip(NAMES, meter_of(rng, days, m), strict=True):
            store.load_series(point(m, name), series)
            count += len(series)
    loaded_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    store.maintain(2**40, T0 + (days + 2) * DAY_MS, None)
    packed_s = time.perf_counter() - began_s
    store.close()
    rewrite(path)
    per_row = path.stat().st_size / (count / 3)
    return [
        ("rows of 3 values", f"{count // 3:,}", ""),
        ("bulk load · compaction", f"{loaded_s:.1f} s · {packed_s:.1f} s", ""),
        ("bytes a row of 3 values, compacted", f"{per_row:.2f}", "≤ 4.5"),
    ]


SQL = """
WITH x AS (SELECT point, slot * unit_ms AS t, scaled / power(10, decimals) AS v,
  lag(scaled / power(10, decimals)) OVER (PARTITION BY point ORDER BY slot) AS before
  FROM packed JOIN packing USING (point)
  WHERE point IN (SELECT id FROM point WHERE measurand = 'energy_import_kwh'))
SELECT point, t // 3600000 AS hour, sum(CASE WHEN v >= before THEN v - before ELSE v END) AS used
FROM x WHERE before IS NOT NULL GROUP BY ALL ORDER BY ALL
"""


def from_raw(path: Path, days: int) -> list[Row]:
    """Everything from raw readings: ours, one SQL window over every row, a scan of memory."""
    store = DuckStore(path)
    span = Interval(T0, T0 + days * DAY_MS)
    grid = edges(span, Step.HOUR, ZONE)
    how = Counting(max_power=2000.0)

    def ours() -> dict[int, Rollup]:
        out = {}
        for first in range(0, METERS, GROUP):
            points = [point(m) for m in range(first, first + GROUP)]
            series = store.read_many(points, span)
            for m, p in zip(range(first, first + GROUP), points, strict=True):
                out[m] = rollup(p.device, series[p], grid, Step.HOUR, how=how)
        return out

    found, ours_s = timed(ours)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    db = store._db.cursor()
    _, sql_s = timed(lambda: db.execute(SQL).fetchnumpy())
    columns = db.execute(
        "SELECT point, slot, scaled FROM packed WHERE point IN"
        " (SELECT id FROM point WHERE measurand = 'energy_import_kwh')"
    ).fetchnumpy()
    arrays = [np.ascontiguousarray(c) for c in columns.values()]
    _, scan_s = timed(lambda: [a.sum() for a in arrays])
    hours = np.array([r.values for r in found.values()])
    exact = plain_difference(store, span, grid, found)
    store.close()
    return [
        ("exact rollup of everything from raw", f"{ours_s:.2f} s", ""),
        ("… ÷ one SQL window over every row", f"{ours_s / sql_s:.2f} ({sql_s:.2f} s)", "≤ 0.5"),
        ("… ÷ a memory scan of the same columns", f"{ours_s / scan_s:.0f}", "≤ 15"),
        ("… peak memory of the process", f"{peak_mib:.0f} MiB", "≤ 2048"),
        ("… cells that differ from plain differences", f"{exact} of {hours.size:,}", "0"),
    ]


def plain_difference(
    store: DuckStore, span: Interval, grid: np.ndarray, found: dict[int, Rollup]
) -> int:
    """Count the hours, read at both edges and without event, that differ from value − value."""
    wrong = 0
    for m in range(0, METERS, 7):
        series = store.read_series(point(m), span)
        at = np.searchsorted(series.times_ms, grid[:-1])
        at = np.minimum(at, len(series) - 1)
        has = series.times_ms[at] == grid[:-1]
        both = has[:-1] & has[1:]
        plain = np.round(series.values[at[1:]] - series.values[at[:-1]], 6)
        mine = found[m].values[:-1]
        measured = found[m].grades[:-1] == Grade.MEASURED
        wrong += int(np.count_nonzero((plain != mine) & both & measured))
    return wrong


def timed(act: Callable[[], T], repeats: int = 3) -> tuple[T, float]:
    """Give the last result and the median time."""
    took = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        result = act()
        took.append(time.perf_counter() - began_s)
    return result, statistics.median(took)


def rounds(path: Path, folder: Path) -> list[Row]:
    """Commits of one round of 200 meters × 3 values, each durable, with year queries beside."""
    store = DuckStore(path)
    stop = threading.Event()
    queries = [0]

    def query() -> None:
        while not stop.is_set():
            store.read_series(point(queries[0] % METERS), Interval(T0, T0 + 400 * DAY_MS))
            queries[0] += 1

    bodies = [
        "\n".join(
            f"electricity,device=M{m},site=s energy_import_kwh={1e5 + n / 100!r},"
            f"power_kw={20 + n % 7 / 10!r},power_factor=0.95 {T0 + 500 * DAY_MS + n * MINUTE_MS}"
            for m in range(METERS)
        ).encode()
        for n in range(400)
    ]
    thread = threading.Thread(target=query)
    thread.start()
    took = []
    for body in bodies:
        began_s = time.perf_counter()
        store.write_lines(body)
        took.append((time.perf_counter() - began_s) * 1000)
    stop.set()
    thread.join()
    store.close()
    naive = duckdb.connect(str(folder / "naive.duckdb"))
    naive.execute("CREATE TABLE t (point INTEGER, time_ms BIGINT, value DOUBLE)")
    slow = []
    for n in range(5):
        batch = [(m, n, 1.0) for m in range(METERS * 3)]
        began_s = time.perf_counter()
        naive.execute("BEGIN")
        naive.executemany("INSERT INTO t VALUES (?, ?, ?)", batch)
        naive.execute("COMMIT")
        slow.append((time.perf_counter() - began_s) * 1000)
    p50, p99 = statistics.median(took), sorted(took)[int(len(took) * 0.99)]
    ratio = statistics.median(slow) / p50
    return [
        ("a round of 600 values, parsed and durable", f"p50 {p50:.1f} · p99 {p99:.1f} ms", "≤ 10"),
        ("… year queries answered meanwhile", f"{queries[0]}", ""),
        ("executemany ÷ ours", f"{ratio:.0f}×", "≥ 50"),
    ]


def small(folder: Path, days: int) -> list[Row]:
    """One meter-year; a thousand meters' new hour; a virtual meter; a tree; late readings."""
    rng = np.random.default_rng(2)
    year = next(iter(meter_of(rng, 365, 1)))
    grid = edges(Interval(T0, T0 + 365 * DAY_MS), Step.QUARTER, ZONE)
    how = Counting(max_power=2000.0)
    _, year_s = timed(lambda: rollup("m", year, grid, Step.QUARTER, how=how, zone=ZONE), 5)
    half = Series(year.times_ms[: len(year) // 2], year.values[: len(year) // 2])
    _, half_s = timed(lambda: rollup("m", half, grid, Step.QUARTER, how=how, zone=ZONE), 5)
    out = [
        ("1 meter × 1 year × 1 min", f"{year_s * 1000:.0f} ms", "≤ 500"),
        ("… ÷ half a year", f"{year_s / half_s:.1f}", "≈ 2"),
    ]
    out += [("10-term virtual meter × 720 h", f"{virtual_ms():.2f} ms", "≤ 20")]
    out += [("tree of 61 places, 200 meters × 24 h", f"{tree_ms():.1f} ms", "same pass")]
    out += new_hour(folder / "hour")
    out += late(folder / "late", 30)
    return out


def meter(name: str, **more: object) -> Meter:
    given: dict[str, object] = {
        "device": name, "measurand": NAMES[0], "parent": None, "role": Role.SUB, **more,
    }  # fmt: skip
    return Meter(
        id=name, name=name, carrier=Carrier.ELECTRICITY, building="b", end_use="01B00",
        **given,  # type: ignore[arg-type] # by name
    )  # fmt: skip


def flat(name: str, grid: np.ndarray, step: Step) -> Rollup:
    n = len(grid) - 1
    return Rollup(name, step, grid, np.full(n, 1.25), np.ones(n), np.zeros(n, np.int8))


def virtual_ms() -> float:
    grid = edges(Interval(T0, T0 + 30 * DAY_MS), Step.HOUR, ZONE)
    parts = {f"M{i}": flat(f"M{i}", grid, Step.HOUR) for i in range(10)}
    linear = Linear(tuple((m, Fraction(1, i + 1)) for i, m in enumerate(parts)))
    virtual = replace(meter("V"), kind=MeterKind.VIRTUAL)
    return timed(lambda: evaluate(virtual, linear, parts), 9)[1] * 1000


def tree_site(meters: int, areas: int) -> Site:
    rooms = tuple(Area(f"a{i}", f"a{i}", "b", None if i < 6 else f"a{i % 6}") for i in range(areas))
    found = tuple(meter(f"M{m}", area=f"a{6 + m % (areas - 6)}") for m in range(meters))
    return Site("s", "s", "s", ZONE, (Building("b", "b"),), found, areas=rooms)


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


def works_of(folder: Path, site: Site) -> Works:
    folder.mkdir()
    state = open_state(f"sqlite:///{folder / 's.db'}")
    return Works(DuckStore(folder / "r.duckdb"), state, site, load_factbook(), ())


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
    works = works_of(folder, site)
    now = T0 + 25 * HOUR_MS
    counters(works.store, 1000, T0, 24 * 60)  # type: ignore[arg-type] # it is one
    everything = {m.id: [Interval(T0, T0 + 24 * HOUR_MS)] for m in site.meters}
    roll_up_spans(works, everything, now, {})
    counters(works.store, 1000, T0 + 24 * HOUR_MS, 61)  # type: ignore[arg-type] # it is one
    hour = {m.id: [Interval(T0 + 24 * HOUR_MS, now)] for m in site.meters}
    began_s = time.perf_counter()
    done = roll_up_spans(works, hour, now, {})
    took_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    roll_up_spans(works, hour, now, {})
    again_s = time.perf_counter() - began_s
    works.store.close()
    return [
        ("1,000 meters × 1 new hour", f"{took_s:.2f} s, {done.written:,} rows written", "≤ 0.3"),
        ("… again, nothing changed", f"{again_s:.2f} s", ""),
    ]


def late(folder: Path, days: int) -> list[Row]:
    """10,000 late readings of 200 meters over 30 days."""
    site = tree_site(METERS, 30)
    works = works_of(folder, site)
    now = T0 + days * DAY_MS
    rng = np.random.default_rng(3)
    store = works.store
    assert isinstance(store, DuckStore)
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
        (f"{len(held):,} late readings", f"{took_s:.2f} s, {done.written:,} rows written", "≤ 2"),
    ]


def from_rollups(folder: Path, before: list[Row]) -> list[Row]:
    """A year's hourly series of 200 meters, out of the rollups."""
    site = tree_site(METERS, 30)
    works = works_of(folder / "rollups", site)
    span = Interval(T0, T0 + 365 * DAY_MS)
    grid = edges(span, Step.HOUR, ZONE)
    rng = np.random.default_rng(4)
    n = len(grid) - 1
    works.store.write_rollups(
        site,
        [
            Rollup(
                m.id, Step.HOUR, grid, np.round(rng.uniform(0, 60, n), 2), np.ones(n),
                np.zeros(n, np.int8),
            )
            for m in site.meters
        ],
    )  # fmt: skip
    ids = [m.id for m in site.meters]
    _, took_s = timed(lambda: works.store.read_rollups(site, ids, Step.HOUR, span), 5)
    works.store.close()
    sql = next(v for name, v, _ in before if "SQL window" in name)
    sql_s = float(sql.split("(")[1].split(" ")[0])
    return [
        ("a year's hours of 200 meters, from rollups", f"{took_s * 1000:.0f} ms", ""),
        ("… ÷ the SQL window (over the days above)", f"{took_s / sql_s:.4f}", "≤ 0.02 a year"),
    ]


def over_http(folder: Path) -> list[Row]:
    """Ingest over HTTP with gzip, and how soon a reading is in its hour."""
    (folder / "http").mkdir()
    base = T0 + 300 * DAY_MS
    bodies = [
        gzip.compress(
            "\n".join(
                f"electricity,device=E{m:02d},site=hengnan energy_import_kwh={n / 100!r},"
                f"power_kw={20 + n % 7 / 10!r},power_factor=0.95 {base + n * MINUTE_MS}"
                for n in range(first, first + 100)
                for m in range(50)
            ).encode(),
            6,
        )
        for first in range(0, 6000, 100)
    ]
    with running_server(folder / "http") as it:
        began_s = time.perf_counter()
        for body in bodies:
            answer = it.write(body, **{"Content-Encoding": "gzip"})
            assert answer.status_code == 204
        rate = 6000 * 50 * 3 / (time.perf_counter() - began_s)
    return [("/api/v2/write with gzip, values/s", f"{rate:,.0f}", "≥ 100,000")]


if __name__ == "__main__":
    sys.exit(main())
