"""Kill the server again and again while it takes readings in and rolls them up.

Seeded: the moments of the kills, the readings, and how many lines a body has come from the seed.
What was acknowledged must be there; no interval may be lost or doubled; the server must open again
at once.
"""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import yaml

from contract.clock import SystemClock
from contract.reading import PointId
from server.app import open_works
from server.config import load_config
from server.jobs.rolling import roll_up
from server.jobs.schedule import Schedule
from server.periods import DAY_MS, KEPT_STEPS, MINUTE_MS, QUARTER_MS, Interval, Step
from simulators.ports import free_port

T0 = 1_772_380_800_000  # 2026-03-02 00:00 at the site
METERS = ("E1", "E2")
TOKEN = "kill-token"


@dataclass
class Kills:
    """What happened: bodies acknowledged, and how long each start took."""

    acknowledged: dict[tuple[str, int], float] = field(default_factory=dict)
    opened_s: list[float] = field(default_factory=list)
    killed: int = 0


def write_files(folder: Path, port: int) -> Path:
    meters = [
        {"id": m, "name": m, "device": m, "measurand": "energy_import_kwh",
         "carrier": "electricity", "role": "main", "building": "b", "end_use": "01000"}
        for m in METERS
    ]  # fmt: skip
    site = {
        "site": {"id": "k", "name": "k", "organization": "k"},
        "buildings": [{"id": "b", "name": "b"}], "meters": meters,
    }  # fmt: skip
    (folder / "site.yaml").write_text(yaml.safe_dump(site))
    (folder / "tokens").write_text(TOKEN)
    path = folder / "server.yaml"
    path.write_text(yaml.safe_dump({
        "site_file": "./site.yaml", "store": {"url": "duckdb:///./r.duckdb"},
        "state": {"url": "sqlite:///./s.db"}, "listen": {"port": port},
        "write_tokens_file": "./tokens", "jobs": {"roll_up_s": 0.2},
    }))  # fmt: skip
    return path


def value_at(meter: str, minute: int) -> float:
    """Give a counter reading: whole hundredths, another pace for each meter."""
    return round(100 + minute * (0.05 if meter == "E1" else 0.11), 2)


def run(folder: Path, seed: int, kills: int) -> Kills:
    """Start, write, kill; give what was acknowledged."""
    rng = random.Random(seed)
    port = free_port()
    config = write_files(folder, port)
    out = Kills()
    minute = 0
    for _ in range(kills):
        process = start(config, folder)
        began_s = time.perf_counter()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            wait_until_open(http, process)
            out.opened_s.append(time.perf_counter() - began_s)
            deadline_s = time.perf_counter() + rng.uniform(0.02, 0.6)
            while time.perf_counter() < deadline_s:
                size = rng.randint(1, 30)
                lines = {
                    (m, n): value_at(m, n)
                    for n in range(minute, minute + size)
                    for m in METERS
                }  # fmt: skip
                minute += size
                if not post(http, lines):
                    break
                out.acknowledged.update(lines)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        out.killed += 1
    return out


def start(config: Path, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", "from server.cli import main; raise SystemExit(main())",
             "serve", "--config", str(config)],
            stdout=log, stderr=log,
        )  # fmt: skip


def wait_until_open(http: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    for _ in range(2000):
        assert process.poll() is None, "the server ended by itself"
        try:
            if http.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.01)
    raise AssertionError("the server did not open")


def post(http: httpx.Client, lines: dict[tuple[str, int], float]) -> bool:
    body = "\n".join(
        f"electricity,device={m},site=k energy_import_kwh={v!r} {T0 + n * MINUTE_MS}"
        for (m, n), v in lines.items()
    )
    headers = {"Authorization": f"Token {TOKEN}"}
    try:
        answer = http.post("/api/v2/write?precision=ms", content=body, headers=headers)
    except httpx.TransportError:
        return False
    return answer.status_code == 204


def check(folder: Path, found: Kills) -> tuple[int, int]:
    """Hold store and rollups against what was acknowledged; give (readings, intervals) checked."""
    works = open_works(load_config(folder / "server.yaml"))
    try:
        last = max(n for _, n in found.acknowledged)
        span = Interval(T0, T0 + (last + 1) * MINUTE_MS)
        for m in METERS:
            series = works.store.read_series(PointId("k", m, "energy_import_kwh"), span)
            kept = dict(zip(series.times_ms.tolist(), series.values.tolist(), strict=True))
            for (meter, n), value in found.acknowledged.items():
                assert meter != m or kept.get(T0 + n * MINUTE_MS) == value, (m, n)
            assert len(kept) == len(series.times_ms), "a reading is there twice"
        # what the running server left, brought up to date as its next pass would
        Schedule(works, SystemClock()).roll_up()
        live = {s: works.store.read_rollups(works.site, METERS, s, span) for s in KEPT_STEPS}
        rows = works.store._db.execute(  # type: ignore[attr-defined] # the embedded store's own table
            "SELECT count(*) - count(DISTINCT (step, meter, start_ms)) FROM rolled"
        ).fetchall()
        assert rows[0][0] == 0, "an interval is there twice"
        works.store._db.execute("DELETE FROM rolled")  # type: ignore[attr-defined] # from scratch
        roll_up(works, span, span.end_ms + 3 * DAY_MS)
        intervals = 0
        for s, stored in live.items():
            fresh = works.store.read_rollups(works.site, METERS, s, span)
            for m in METERS:
                same = stored[m].values == fresh[m].values
                same |= np.isnan(stored[m].values) & np.isnan(fresh[m].values)
                assert same.all(), (m, s)
                intervals += int(np.count_nonzero(~np.isnan(fresh[m].values)))
        whole = live[Step.QUARTER]["E1"]
        quarters = (last * MINUTE_MS) // QUARTER_MS
        assert whole.values[:quarters].sum().round(6) == round(quarters * 15 * 0.05, 6)
    finally:
        works.store.close()
        works.state.close()
    return len(found.acknowledged), intervals
