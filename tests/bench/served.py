"""The server as a process of its own: what it holds, takes in, and how soon it shows it."""

import gzip
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from contract.clock import SystemClock
from server.periods import DAY_MS, HOUR_MS, MINUTE_MS, Step
from simulators.layout import SITE, meters
from simulators.ports import free_port
from simulators.site_files import write_site
from simulators.stage import footprint, stage
from tests.bench.meters import T0, Row

TOKEN = "bench-token"
QUARTER_MS = 15 * MINUTE_MS
IDS = tuple(m.id for m in meters() if m.carrier == "electricity")
SETTLE_S = 45.0  # past the first two runs of the server's own job
ARRIVALS, APART_S = 20, 3.7  # no multiple of the job's interval, so that every phase is met


@dataclass(frozen=True, slots=True)
class Served:
    """A running server process and a client of it that asks for plain bodies."""

    http: httpx.Client
    pid: int

    def write(self, body: bytes, **headers: str) -> None:
        """Post line protocol."""
        path = "/api/v2/write?org=o&bucket=b&precision=ms"
        answer = self.http.post(
            path, content=body, headers={"Authorization": f"Token {TOKEN}", **headers}
        )
        assert answer.status_code == 204, answer.text


def server_file(folder: Path) -> Path:
    """Write a server's files, everything at its default; give server.yaml."""
    folder.mkdir(exist_ok=True)
    write_site(folder)
    (folder / "write-tokens").write_text(TOKEN)
    document = {
        "site_file": "./site.yaml",
        "store": {"url": "duckdb:///./r.duckdb"},
        "state": {"url": "sqlite:///./s.db"},
        "listen": {"host": "127.0.0.1", "port": free_port()},
        "write_tokens_file": "./write-tokens",
    }
    path = folder / "server.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


@contextmanager
def served(config: Path) -> Iterator[Served]:
    """Run `compound-server serve` until it answers; stop it afterwards."""
    port = yaml.safe_load(config.read_text("utf-8"))["listen"]["port"]
    url = f"http://127.0.0.1:{port}"
    headers = {"Accept-Encoding": "identity"}
    with stage(config.parent) as it, httpx.Client(base_url=url, timeout=120, headers=headers) as c:
        process = it.start("server", "compound-server", "serve", "--config", str(config))

        def is_up() -> bool:
            try:
                return c.get("/health").status_code == 200
            except httpx.TransportError:
                return False

        it.wait_for("server", is_up)
        yield Served(c, process.pid)


def idle(fresh: Path, full: Path) -> list[Row]:
    """What two idle servers cost: one with nothing in its store, one with twenty meter-years."""
    rows: list[Row] = []
    with ExitStack() as stack:
        running = {
            "nothing stored": stack.enter_context(served(fresh)),
            "20 meter-years stored": stack.enter_context(served(full)),
        }
        time.sleep(SETTLE_S)
        for name, it in running.items():
            tree = [it.pid, *descendants(it.pid)]
            rss = sum(footprint(pid).rss_mib for pid in tree)
            rows.append((f"idle server, {name}: processes", str(len(tree)), "≤ 3"))
            rows.append(("… resident memory", f"{rss:.0f} MiB", "≤ 250 MB"))
    return rows


def descendants(pid: int) -> list[int]:
    """Give the processes that a process started, and theirs (Linux)."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children = [int(p) for p in (task / "children").read_text("ascii").split()]
        found += [p for child in children for p in (child, *descendants(child))]
    return found


def ingest(config: Path) -> list[Row]:
    """Take in gzipped bodies one after the other; the server's own job runs beside."""
    minutes, device_count = 24_000, 50
    base = T0 + 300 * DAY_MS
    bodies = [
        gzip.compress(
            "\n".join(
                f"electricity,device=E{m:02d},site={SITE} energy_import_kwh={n / 100!r},"
                f"power_kw={20 + n % 7 / 10!r},power_factor=0.95 {base + n * MINUTE_MS}"
                for n in range(first, first + 100)
                for m in range(device_count)
            ).encode(),
            6,
        )
        for first in range(0, minutes, 100)
    ]
    with served(config) as it:
        began_s = time.perf_counter()
        for body in bodies:
            it.write(body, **{"Content-Encoding": "gzip"})
        took_s = time.perf_counter() - began_s
        after = footprint(it.pid)
    values = minutes * device_count * 3
    return [
        (
            f"/api/v2/write with gzip, values/s over {took_s:.0f} s",
            f"{values / took_s:,.0f}",
            "≥ 100,000",
        ),
        (
            "… server afterwards, resident (peak)",
            f"{after.rss_mib:.0f} ({after.peak_rss_mib:.0f}) MiB",
            "",
        ),
    ]


def freshness(it: Served, ids: tuple[str, ...]) -> list[Row]:
    """Give how long after a closed quarter's readings arrive they are in their hour."""
    began_s = time.monotonic()
    waiting: dict[str, tuple[float, int]] = {}
    took: list[float] = []
    sent = 0
    while len(took) < ARRIVALS:
        now_s = time.monotonic()
        if sent < ARRIVALS and now_s >= began_s + sent * APART_S:
            closed_ms = SystemClock().now_ms() // QUARTER_MS * QUARTER_MS
            body = "\n".join(
                f"electricity,device={ids[sent]},site={SITE} energy_import_kwh={value!r} {at}"
                for value, at in ((100.0, closed_ms - QUARTER_MS), (101.5, closed_ms))
            )
            it.write(body.encode())
            waiting[ids[sent]] = (time.monotonic(), (closed_ms - 1) // HOUR_MS * HOUR_MS)
            sent += 1
        for meter, (since_s, hour_ms) in list(waiting.items()):
            query: dict[str, str | int] = {
                "meters": meter, "step": Step.HOUR.value, "from": hour_ms, "to": hour_ms + HOUR_MS,
            }  # fmt: skip
            answer = it.http.get("/api/v1/series", params=query).json()
            if answer["values"][meter] == [1.5]:
                took.append(time.monotonic() - since_s)
                del waiting[meter]
        assert time.monotonic() < began_s + ARRIVALS * APART_S + 300, f"not seen: {waiting}"
        time.sleep(0.1)
    text = f"median {statistics.median(took):.1f} · most {max(took):.1f} s"
    return [(f"a closed slot's reading in its hour, {ARRIVALS} arrivals", text, "≤ 60 s")]
