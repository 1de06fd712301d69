"""python -m tests.bench.alerting: taking a pass in, planning, and from readings to a robot."""

import resource
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import uvicorn
import yaml
from rich.console import Console
from rich.table import Table

from contract.clock import SystemClock
from contract.line import encode
from contract.reading import PointId, Reading
from server.app import create_app, open_works
from server.config import load_config
from server.jobs.telling import plan_messages
from server.periods import HOUR_MS, MINUTE_MS, QUARTER_MS
from server.rules.model import Severity
from server.state import open_state
from server.state.found import Judged
from simulators.ports import free_port
from simulators.site_files import write_site
from tests.server.alert_cases import NEW, NOON, desk_of
from tests.server.robots import running_robot
from tests.server.test_telling import PLAN

METERS, RULES, FIRING = 1000, 30, 200
REPEATS = 5


def main() -> int:
    """Print what it took."""
    rows = [*_passes()]
    if "--live" in sys.argv:
        rows += _live()
    table = Table("figure", "value", title=f"alerts · {METERS} meters x {RULES} rules")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    return 0


def _judged(now_ms: int, firing: int) -> list[Judged]:
    out = []
    for m in range(METERS):
        for r in range(RULES):
            found = replace(NEW, rule=f"r{r}", meter=f"M{m}", excess=now_ms % 97 + 1.0)
            is_on = m * RULES + r < firing
            out.append(Judged(f"r{r}", f"M{m}", NOON - HOUR_MS, now_ms, (found,) if is_on else ()))
    return out


def _passes() -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        state = open_state(f"sqlite:///{folder}/s.db")
        first: list[float] = []
        again: list[float] = []
        plans: list[float] = []
        for i in range(REPEATS):
            for kept, firing in ((first, FIRING * (i + 1)), (again, FIRING * (i + 1))):
                judged = _judged(NOON + HOUR_MS + i * MINUTE_MS, firing)
                start = time.perf_counter()
                state.inbox.record(judged, NOON + HOUR_MS + i * MINUTE_MS)
                kept.append(time.perf_counter() - start)
            start = time.perf_counter()
            plan_messages(desk_of(state), PLAN, NOON + 2 * HOUR_MS + i * HOUR_MS)
            plans.append(time.perf_counter() - start)
        state.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        (f"pass with {FIRING} new alerts, {METERS * RULES} judged", f"{min(first) * 1000:.0f} ms"),
        ("the same pass again", f"{min(again) * 1000:.0f} ms"),
        (f"planning a digest of {FIRING}", f"{min(plans) * 1000:.0f} ms"),
        ("peak memory of this process", f"{peak:.0f} MiB"),
    ]


def _live() -> list[tuple[str, str]]:
    """Let a leak's hold time end while the server runs; time until the robot has the message."""
    with tempfile.TemporaryDirectory() as name, running_robot("wecom") as robot:
        folder = Path(name)
        write_site(folder)
        (folder / "t").write_text("t")
        (folder / "url").write_text(robot.url)
        (folder / "notify.yaml").write_text(
            "channels: {r: {kind: wecom, url_file: ./url}}\ngroups: {g: {channels: [r]}}\n"
        )
        port = free_port()
        document = {
            "site_file": "./site.yaml", "store": {"url": "duckdb:///./r.duckdb"},
            "state": {"url": "sqlite:///./s.db"}, "write_tokens_file": "./t",
            "listen": {"port": port}, "notify_file": "./notify.yaml",
        }  # fmt: skip
        (folder / "server.yaml").write_text(yaml.safe_dump(document))
        config = load_config(folder / "server.yaml")
        works = open_works(config)
        severe = tuple(replace(r, severity=Severity.SEVERE) for r in works.rules)
        app = create_app(config, replace(works, rules=severe))
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        rule = next(r for r in severe if r.id == "running_water")
        meter = rule.targets(works.site)[0]
        point = PointId(works.site.id, meter.point_device, meter.measurand)
        end_ms = SystemClock().now_ms() // QUARTER_MS * QUARTER_MS
        times = range(end_ms - 30 * HOUR_MS, end_ms + 1, QUARTER_MS)
        lines = "\n".join(encode([Reading(point, t, (t - times[0]) / HOUR_MS) for t in times]))
        start = time.perf_counter()
        url = f"http://127.0.0.1:{port}/api/v2/write?org=o&bucket=b&precision=ms"
        receipt = (
            f"delivery,device=a1,site={works.site.id} sequence_first=1.0,sequence_last=1.0,"
            f"oldest_ms={float(times[0])},newest_ms={float(end_ms)},readings_sent=1.0,lag_s=0.0"
            f" {SystemClock().now_ms()}"
        )
        answer = httpx.post(
            url, content=f"{lines}\n{receipt}", headers={"Authorization": "Token t"}
        )
        while not robot.taken and time.perf_counter() - start < 180:
            time.sleep(0.05)
        took = time.perf_counter() - start
        server.should_exit = True
        thread.join()
    said = f"{took:.0f} s" if robot.taken else f"not within 180 s (HTTP {answer.status_code})"
    return [("readings accepted to the robot's taking the message", said)]


if __name__ == "__main__":
    sys.exit(main())
