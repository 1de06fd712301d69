"""A year's hours of twenty meters over HTTP, beside InfluxDB 1.6.7 and VictoriaMetrics 1.79.5.

All answer with uncompressed JSON over loopback, each out of its own store in its own process.
The peers are Debian's; one that is not installed says so.
"""

import gzip
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from contract.clock import SystemClock
from contract.reading import PointId
from server.app import open_works
from server.config import load_config
from server.jobs.schedule import Schedule
from server.periods import DAY_MS, HOUR_MS, Interval, Step, edges
from server.rollup.model import Grade
from server.series import Series
from server.store.duck import DuckStore
from simulators.layout import SITE
from simulators.ports import free_port
from tests.bench.meters import NAMES, ZONE, Row, edges_read, meter_of, side_by_side
from tests.bench.served import IDS, TOKEN, Served, freshness, served
from tests.real.influxd import influxd

COUNT, DAYS = 20, 365
CHUNK = 50_000
FIELD = NAMES[0]
INFLUX, VICTORIA = "InfluxDB 1.6.7", "VictoriaMetrics 1.79.5"
# the first reading of each hour, so that a difference spans edge to edge as ours does
INFLUXQL = (
    "SELECT non_negative_difference(first(energy_import_kwh)) FROM electricity"
    " WHERE time >= $start AND time < $end GROUP BY time(1h), device"
)
BINARIES = {INFLUX: "influxd", VICTORIA: "victoria-metrics"}


@dataclass(frozen=True, slots=True)
class Year:
    """Twenty meters' counters over the year that ended with the last whole hour."""

    span: Interval
    series: dict[str, Series]

    @property
    def grid(self) -> np.ndarray:
        """Give the hours' edges, (n + 1,) epoch ms."""
        return edges(self.span, Step.HOUR, ZONE)


def make_year() -> Year:
    """Make the year."""
    end_ms = SystemClock().now_ms() // HOUR_MS * HOUR_MS
    start_ms = end_ms - DAYS * DAY_MS
    rng = np.random.default_rng(5)
    made = {d: next(meter_of(rng, DAYS, m, start_ms)) for m, d in enumerate(IDS[:COUNT])}
    return Year(Interval(start_ms, end_ms), made)


def fill(config: Path, year: Year) -> list[Row]:
    """Fill a server's store with the year and let the server's own job roll it up."""
    works = open_works(load_config(config))
    assert isinstance(works.store, DuckStore)
    for device, series in year.series.items():
        works.store.load_series(PointId(SITE, device, FIELD), series)
    schedule = Schedule(works, SystemClock())
    began_s = time.perf_counter()
    schedule.roll_up()
    took_s = time.perf_counter() - began_s
    schedule.maintain()
    works.store.close()
    works.state.close()
    count = sum(len(s) for s in year.series.values())
    return [(f"{COUNT} meter-years, {count:,} readings, rolled up", f"{took_s:.1f} s", "")]


def over_http(folder: Path, config: Path, year: Year) -> list[Row]:
    """Ask all who are installed the same, in turn; then how fresh our server's hours are."""
    missing = {name for name, binary in BINARIES.items() if shutil.which(binary) is None}
    with ExitStack() as stack:
        it = stack.enter_context(served(config))
        acts: dict[str, Callable[[], bytes]] = {"ours": lambda: ours(it, year)}
        urls = {}
        if INFLUX not in missing:
            (folder / "influx").mkdir()
            engine = stack.enter_context(influxd(folder / "influx"))
            engine.create("bench")
            # without the tests' door, which is Python and would slow it down
            urls[INFLUX] = f"http://127.0.0.1:{engine._port}/write?db=bench&precision=ms"
        if VICTORIA not in missing:
            base = stack.enter_context(victoria(folder / "victoria"))
            urls[VICTORIA] = f"{base}/write?precision=ms"
        client = stack.enter_context(
            httpx.Client(timeout=300, headers={"Accept-Encoding": "identity"})
        )
        rows = load(client, year, urls)
        if INFLUX in urls:
            url = urls[INFLUX].partition("/write")[0]
            acts[INFLUX] = lambda: ask_influx(client, url, year)
        if VICTORIA in urls:
            client.get(f"{base}/internal/force_flush").raise_for_status()
            acts[VICTORIA] = lambda: ask_victoria(client, base, year, is_cached=False)
            acts["cached"] = lambda: ask_victoria(client, base, year, is_cached=True)
        for act in acts.values():
            act()
        bodies, took = side_by_side(acts, 7)
        rows += figures(it, year, bodies, took)
        rows += freshness(it, IDS[COUNT:])
    return rows


def load(client: httpx.Client, year: Year, urls: dict[str, str]) -> list[Row]:
    """Post the year to the peers as gzipped line protocol; give their rates."""
    took_s = dict.fromkeys(urls, 0.0)
    for body in bodies_of(year) if urls else ():
        for name, url in urls.items():
            began_s = time.perf_counter()
            answer = client.post(url, content=body, headers={"Content-Encoding": "gzip"})
            took_s[name] += time.perf_counter() - began_s
            assert answer.status_code == 204, answer.text
    count = sum(len(s) for s in year.series.values())
    return [(f"… into {name}, readings/s", f"{count / s:,.0f}", "") for name, s in took_s.items()]


def bodies_of(year: Year) -> Iterator[bytes]:
    for device, series in year.series.items():
        for first in range(0, len(series), CHUNK):
            times = series.times_ms[first : first + CHUNK].tolist()
            values = series.values[first : first + CHUNK].tolist()
            lines = [
                f"electricity,device={device},site={SITE} {FIELD}={v!r} {t}"
                for t, v in zip(times, values, strict=True)
            ]
            yield gzip.compress("\n".join(lines).encode(), 1)


@contextmanager
def victoria(folder: Path) -> Iterator[str]:
    """Give the address of a VictoriaMetrics on a free loopback port, ended by its pid."""
    folder.mkdir()
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        BINARIES[VICTORIA], f"-storageDataPath={folder}", f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=10y",
    ]  # fmt: skip
    with (folder.with_suffix(".log")).open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline_s = time.monotonic() + 30
        while True:
            assert process.poll() is None, "victoria-metrics ended"
            assert time.monotonic() < deadline_s, "victoria-metrics did not come up"
            try:
                httpx.get(f"{url}/health").raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                break
        yield url
    finally:
        process.terminate()
        process.wait()


def ours(it: Served, year: Year, *, detail: bool = False) -> bytes:
    query: dict[str, str | int] = {
        "meters": ",".join(year.series), "step": Step.HOUR.value, "from": year.span.start_ms,
        "to": year.span.end_ms, "detail": detail,
    }  # fmt: skip
    answer = it.http.get(
        "/api/v1/series", params=query, headers={"Authorization": f"Token {TOKEN}"}
    )
    return answer.raise_for_status().content


def ask_influx(client: httpx.Client, url: str, year: Year) -> bytes:
    span_ns = {"start": year.span.start_ms * 10**6, "end": year.span.end_ms * 10**6}
    query = {"db": "bench", "epoch": "ms", "q": INFLUXQL, "params": json.dumps(span_ns)}
    return client.get(f"{url}/query", params=query).raise_for_status().content


def ask_victoria(client: httpx.Client, url: str, year: Year, *, is_cached: bool) -> bytes:
    query: dict[str, str | int] = {
        "query": f"increase(electricity_{FIELD}[1h])",
        "start": (year.span.start_ms + HOUR_MS) // 1000,
        "end": year.span.end_ms // 1000,
        "step": "1h",
        "nocache": "0" if is_cached else "1",
    }
    return client.get(f"{url}/api/v1/query_range", params=query).raise_for_status().content


def figures(it: Served, year: Year, bodies: dict[str, bytes], took: dict[str, float]) -> list[Row]:
    """Give times, ratios and whether the answers agree."""
    mine = json.loads(ours(it, year, detail=True))
    calm = {
        d: edges_read(s, year.grid) & (np.array(mine["grades"][d]) == Grade.MEASURED)
        for d, s in year.series.items()
    }
    rows = [
        (
            f"hours of {COUNT} meters × {DAYS} days over HTTP, JSON",
            f"{took['ours'] * 1000:.0f} ms, {len(bodies['ours']) / 1e6:.1f} MB",
            "",
        )
    ]
    read = {INFLUX: read_influx, VICTORIA: read_victoria}
    for name, words in ((INFLUX, "≥ 5×"), (VICTORIA, "≥ 1×")):
        if name not in took:
            rows.append((f"… {name} ÷ ours", "not installed", words))
            continue
        ratio = took[name] / took["ours"]
        text = f"{ratio:.2f}× ({took[name] * 1000:.0f} ms)"
        rows.append((f"… {name} from its raw counters ÷ ours", text, words))
        if name == VICTORIA:
            again = f"{took['cached'] / took['ours']:.2f}× ({took['cached'] * 1000:.0f} ms)"
            rows.append(("… the same asked before, from its cache ÷ ours", again, ""))
        theirs = read[name](json.loads(bodies[name]), year)
        differ = sum(
            int(np.count_nonzero(theirs[d][at] != np.array(mine["values"][d], float)[at]))
            for d, at in calm.items()
        )
        cells = sum(int(np.count_nonzero(at)) for at in calm.values())
        rows.append((f"… hours that differ from {name}", f"{differ} of {cells:,}", "0"))
    return rows


def read_influx(answer: Any, year: Year) -> dict[str, np.ndarray]:
    """Give the hours by device; a difference stands at the end of the hour it is of."""
    return {
        s["tags"]["device"]: on_grid(year, s["values"], 1) for s in answer["results"][0]["series"]
    }


def read_victoria(answer: Any, year: Year) -> dict[str, np.ndarray]:
    """Give the hours by device; an increase stands at the end of its window, in seconds."""
    return {
        s["metric"]["device"]: on_grid(year, s["values"], 1000) for s in answer["data"]["result"]
    }


def on_grid(year: Year, rows: list[list[Any]], unit_ms: int) -> np.ndarray:
    out = np.full(len(year.grid) - 1, np.nan)
    times = np.array([t for t, _ in rows], np.float64) * unit_ms
    at = ((times - year.span.start_ms) // HOUR_MS).astype(np.int64) - 1
    # sums and differences of doubles: what they say to a millionth is compared
    values = np.round(np.array([v for _, v in rows], np.float64), 6)
    inside = (at >= 0) & (at < len(out))
    out[at[inside]] = values[inside]
    return out
