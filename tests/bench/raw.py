"""Raw readings at scale: loading, packing, the exact rollup of everything, rounds as they come."""

import resource
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from rich.console import Console
from rich.progress import track

from server.periods import DAY_MS, HOUR_MS, MINUTE_MS, Interval, Step, edges
from server.rollup.counter import register_track
from server.rollup.interval import rollup
from server.rollup.model import Grade, Rollup
from server.series import Series
from server.store.duck import DuckStore
from server.store.duck_rewrite import MEMORY, rewrite
from tests.bench.meters import (
    HOW,
    METERS,
    NAMES,
    T0,
    ZONE,
    Row,
    edges_read,
    meter_of,
    point,
    side_by_side,
    timed,
)

GROUP = 25
ROUNDS = 2000  # half of them alone, half with year queries beside


def load(path: Path, days: int) -> list[Row]:
    """Fill a store, pack it, write it anew."""
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


# whole numbers, so that its sums are exact; a step that ends on the hour is the hour's before
SQL = """
WITH x AS (SELECT point, slot * unit_ms AS t, scaled,
  lag(scaled) OVER (PARTITION BY point ORDER BY slot) AS before
  FROM packed JOIN packing USING (point)
  WHERE point IN (SELECT id FROM point WHERE measurand = 'energy_import_kwh'))
SELECT point, (t - 1) // 3600000 AS hour,
  sum(CASE WHEN scaled >= before THEN scaled - before ELSE scaled END)::BIGINT AS used
FROM x WHERE before IS NOT NULL GROUP BY ALL ORDER BY ALL
"""

# the same with everything made easy for it: the counters in a table of their own, sorted, narrow
PLAIN = """
CREATE TABLE plain.counter AS SELECT point, slot::INTEGER AS slot, scaled::INTEGER AS scaled
FROM packed WHERE point IN (SELECT id FROM point WHERE measurand = 'energy_import_kwh')
ORDER BY point, slot
"""
SQL_PLAIN = """
WITH x AS (SELECT point, slot, scaled,
  lag(scaled) OVER (PARTITION BY point ORDER BY slot) AS before FROM plain.counter)
SELECT point, (slot - 1) // 60 AS hour,
  sum(CASE WHEN scaled >= before THEN scaled - before ELSE scaled END)::BIGINT AS used
FROM x WHERE before IS NOT NULL GROUP BY ALL ORDER BY ALL
"""


def from_raw(path: Path, days: int) -> tuple[list[Row], float]:
    """Everything from raw readings: ours, one SQL window over every row, a scan of memory.

    The rows, and the seconds that the SQL window took.
    """
    store = DuckStore(path)
    span = Interval(T0, T0 + days * DAY_MS)
    grid = edges(span, Step.HOUR, ZONE)
    db = store._db.cursor()
    assert db.execute("SELECT count(*) FROM raw").fetchall() == [(0,)]  # the SQL reads all there is

    def ours() -> dict[int, Rollup]:
        out = {}
        for first in range(0, METERS, GROUP):
            points = [point(m) for m in range(first, first + GROUP)]
            series = store.read_many(points, span)
            for m, p in zip(range(first, first + GROUP), points, strict=True):
                out[m] = rollup(p.device, series[p], grid, Step.HOUR, how=HOW)
        return out

    ours()  # both find the file in memory
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def sql(query: str) -> dict[str, Any]:
        db.execute("RESET memory_limit")  # the store's own limit would make it spill
        found: dict[str, Any] = db.execute(query).fetchnumpy()
        db.execute("SET memory_limit = ?", [MEMORY])
        return found

    db.execute(f"ATTACH '{path.with_suffix('.plain')}' AS plain")
    db.execute(PLAIN)
    acts: dict[str, Callable[[], Any]] = {
        "ours": ours, "sql": lambda: sql(SQL), "plain": lambda: sql(SQL_PLAIN),
    }  # fmt: skip
    results, took = side_by_side(acts, 5)
    assert np.array_equal(results["sql"]["used"], results["plain"]["used"])
    compared = against_sql(store, results["ours"], results["sql"], span)
    scan_s, scanned = scan(db)
    store.close()
    ours_s, sql_s = took["ours"], took["sql"]
    rows = [
        ("exact rollup of everything from raw", f"{ours_s:.2f} s", ""),
        ("… ÷ one SQL window over every row", f"{ours_s / sql_s:.2f} ({sql_s:.2f} s)", "≤ 0.5"),
        (
            "… ÷ the same over a table of these rows alone",
            f"{ours_s / took['plain']:.2f} ({took['plain']:.2f} s)",
            "",
        ),
        *compared,
        (
            f"… ÷ a scan of the same columns in memory, {scanned / 1e9:.2f} GB",
            f"{ours_s / scan_s:.1f} ({scan_s * 1000:.0f} ms)",
            "≤ 15",
        ),
        ("… peak memory of the process, loading included", f"{peak_mib:.0f} MiB", "≤ 2048"),
    ]
    return rows, sql_s


def scan(db: duckdb.DuckDBPyConnection) -> tuple[float, int]:
    """Sum the columns that the rollup reads, held in memory: seconds, bytes."""
    columns = db.execute(
        "SELECT point, slot, scaled FROM packed WHERE point IN"
        " (SELECT id FROM point WHERE measurand = 'energy_import_kwh')"
    ).fetchnumpy()
    arrays = [np.ascontiguousarray(c) for c in columns.values()]
    return timed(lambda: [a.sum() for a in arrays], 5)[1], sum(a.nbytes for a in arrays)


def against_sql(
    store: DuckStore, found: dict[int, Rollup], got: dict[str, Any], span: Interval
) -> list[Row]:
    """Compare every cell read at both edges and without event or estimate with the SQL's."""
    grid = found[0].edges_ms
    numbers = {device: (number, places) for device, number, places in store._db.execute(
        "SELECT device, id, decimals FROM point JOIN packing ON point = id WHERE measurand = ?",
        [NAMES[0]],
    ).fetchall()}  # fmt: skip
    compared = not_read = eventful = differ = 0
    for m, mine in found.items():
        number, places = numbers[f"M{m}"]
        series = store.read_series(point(m), span)
        both = edges_read(series, grid)
        calm = (mine.grades == Grade.MEASURED) & ~with_events(series, grid)
        lines = got["point"] == number
        theirs = np.full(len(grid) - 1, np.nan)
        at = got["hour"][lines] - grid[0] // HOUR_MS
        theirs[at] = got["used"][lines] / 10.0**places
        cells = both & calm
        compared += int(np.count_nonzero(cells))
        not_read += int(np.count_nonzero(~both))
        eventful += int(np.count_nonzero(both & ~calm))
        differ += int(np.count_nonzero(theirs[cells] != mine.values[cells]))
    return [
        ("… cells that differ from the SQL window's", f"{differ} of {compared:,}", "0"),
        ("… left out: an edge not read", f"{not_read:,}", ""),
        ("… left out: edges read, an event or estimate between", f"{eventful:,}", ""),
    ]


def with_events(series: Series, grid: np.ndarray) -> np.ndarray:
    """Say which intervals between (n + 1,) edges an event of the counter touches, (n,)."""
    out = np.zeros(len(grid) - 1, np.bool_)
    for e in register_track(series, HOW).events:
        i = max(0, int(np.searchsorted(grid, e.start_ms, "right")) - 1)
        out[i : int(np.searchsorted(grid, e.end_ms, "left"))] = True
    return out


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
        for n in range(ROUNDS)
    ]
    alone = commits_ms(store, bodies[::2])
    thread = threading.Thread(target=query)
    thread.start()
    took = commits_ms(store, bodies[1::2])
    stop.set()
    thread.join()
    store.close()
    ratio = executemany_ms(folder / "naive.duckdb") / statistics.median(took)
    return [
        (f"a round of {METERS * 3} values, parsed and durable", spread(took), "p99 ≤ 10 ms"),
        ("… year queries answered meanwhile", f"{queries[0]}", ""),
        ("… without queries beside", spread(alone), ""),
        ("executemany ÷ ours", f"{ratio:.0f}×", "≥ 50×"),
    ]


def commits_ms(store: DuckStore, bodies: list[bytes]) -> list[float]:
    took = []
    for body in bodies:
        began_s = time.perf_counter()
        store.write_lines(body)
        took.append((time.perf_counter() - began_s) * 1000)
    return took


def spread(took: list[float]) -> str:
    p99 = sorted(took)[int(len(took) * 0.99)]
    return f"p50 {statistics.median(took):.1f} · p99 {p99:.1f} · max {max(took):.0f} ms"


def executemany_ms(path: Path) -> float:
    """Give the median of the same round put in row by row."""
    naive = duckdb.connect(str(path))
    naive.execute("CREATE TABLE t (point INTEGER, time_ms BIGINT, value DOUBLE)")
    took = []
    for n in range(5):
        batch = [(m, n, 1.0) for m in range(METERS * 3)]
        began_s = time.perf_counter()
        naive.execute("BEGIN")
        naive.executemany("INSERT INTO t VALUES (?, ?, ?)", batch)
        naive.execute("COMMIT")
        took.append((time.perf_counter() - began_s) * 1000)
    naive.close()
    return statistics.median(took)
