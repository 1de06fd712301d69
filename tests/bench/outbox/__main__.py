"""make bench-outbox: what the outbox and the push cost on this machine, beside the plain way.

Every ratio is the median of runs in turn; each run is a process of its own.  `python -m
tests.bench.outbox PART …` runs some parts only; DAYS=3 makes the month shorter.  The folder must
lie on a disk (write_bytes of /proc/self/io is what is counted), so it is made beside the sources.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.outbox.measured import Row, alone
from tests.edge.cuts.disk import Op, build_shim, environment, read_log

HERE = "tests.bench.outbox"
ROUNDS, TIMES = 6000, 3
DAY_ROUNDS, CLIENT_ROUNDS = 8640, 500


@contextmanager
def folder() -> Iterator[Path]:
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="outbox-", dir=".bench") as name:
        yield Path(name).absolute()


@contextmanager
def sink() -> Iterator[int]:
    with folder() as place:
        process = subprocess.Popen([sys.executable, "-m", f"{HERE}.sink", str(place)])
        try:
            while not (place / "port").exists():
                assert process.poll() is None, "the sink ended"
                time.sleep(0.02)
            yield int((place / "port").read_text("ascii"))
        finally:
            process.terminate()
            process.wait()


def flash() -> list[Row]:
    found: dict[str, list[float]] = {"parcels": [], "rows": []}
    payload = 0.0
    for _ in range(TIMES):
        for kind, values in found.items():
            with folder() as place:
                one = alone(f"{HERE}.flash", kind, place, ROUNDS)
            values.append(one["written"])
            payload = one["payload"] if kind == "parcels" else payload
    ours, plain = (statistics.median(v) for v in found.values())
    readings = ROUNDS * 400
    with folder() as place:
        shim = build_shim(place)
        alone(f"{HERE}.flash", "parcels", place, 600,
              env=environment(shim, place / "o.db", place / "log", None))  # fmt: skip
        steps = read_log(place / "log")
    syncs = sum(s.op is Op.SYNC and s.name == "o.db-wal" for s in steps) / 600
    return [
        Row("bytes written per payload byte, 6,000 rounds with push and delete",
            f"{ours / payload:.2f} ({ours / readings:.1f} B a reading)", "≤ 6",
            ours <= 6 * payload),
        Row("… as a share of a row for each reading",
            f"{ours / plain:.3f} ({plain / readings:.0f} B a reading)", "≤ 0.25",
            ours <= 0.25 * plain),
        Row("syncs of the log a round (600 rounds, checkpoints included)", f"{syncs:.3f}",
            "1", syncs < 1.1),
    ]  # fmt: skip


def backlog() -> list[Row]:
    ours, ratios, rss = [], [], []
    for _ in range(TIMES):
        with sink() as port, folder() as place:
            mine = alone(f"{HERE}.backlog", "parcels", place, port, DAY_ROUNDS)
        with sink() as port, folder() as place:
            other = alone(f"{HERE}.backlog", "client", place, port, CLIENT_ROUNDS)
        ours.append(mine["wall_s"])
        rss.append(mine["rss_mib"])
        ratios.append(mine["readings"] / mine["wall_s"] / (other["readings"] / other["wall_s"]))
    wall_s, ratio = statistics.median(ours), statistics.median(ratios)
    return [
        Row("24 h of 20 × 20 readings at 10 s (3.46 M) to a fast sink, pace off",
            f"{wall_s:.2f} s, {mine['posts']} posts of {mine['bytes'] / 1e6:.1f} MB",
            "≤ 2 s", wall_s <= 2),
        Row("… beside rows and influxdb-client (readings/s, wall)", f"{ratio:.0f}×", "≥ 20×",
            ratio >= 20),
        Row("… most memory", f"{statistics.median(rss):.0f} MiB"),
    ]  # fmt: skip


def month() -> list[Row]:
    days = float(os.environ.get("DAYS", "30"))
    with sink() as port, folder() as place:
        one = alone(f"{HERE}.month", place, port, days)
    told = f"{one['lines'] / 1e6:.2f} M lines, {one['bytes'] / 1e6:.0f} MB"
    return [
        Row(f"{days:g} days of 100 devices at 1 min, default pace",
            f"{told} in {one['wall_s']:.0f} s, {one['cpu_s']:.1f} s of processor"),
        Row("… live rounds from put to arrival, median · most",
            f"{one['late_median_s']:.2f} s · {one['late_max_s']:.2f} s ({one['live']} rounds)",
            f"≤ a tick ({one['tick_s']:g} s)", one["late_max_s"] <= one["tick_s"]),
        Row("… most memory", f"{one['rss_mib']:.0f} MiB", "≤ 100 MiB", one["rss_mib"] <= 100),
    ]  # fmt: skip


def encoding() -> list[Row]:
    rows = []
    for fields in (3, 20):
        runs = [alone(f"{HERE}.encoding", fields) for _ in range(TIMES)]
        ratio = statistics.median(r["theirs_us"] / r["ours_us"] for r in runs)
        ours = statistics.median(r["ours_us"] for r in runs)
        value = f"{ratio:.1f}× ({ours:.2f} µs a reading)"
        figure = f"encoding beside influxdb-client's Point, {fields} fields a line"
        rows.append(Row(figure, value, "≥ 4×", ratio >= 4))
    return rows


PARTS: Mapping[str, Callable[[], list[Row]]] = {
    "flash": flash, "backlog": backlog, "month": month, "encoding": encoding,
}  # fmt: skip
MARKS = {True: " ✓", False: " ✗ missed", None: ""}


def main(names: list[str]) -> int:
    """Run the parts; print the table; 0 whatever it says, 2 for a part that does not exist."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    if unknown := [n for n in names if n not in PARTS]:
        console.print(f"no part {', '.join(unknown)}; fix: use some of {', '.join(PARTS)}")
        return 2
    table = Table("figure", "value", "target", title=f"outbox · Python {sys.version.split()[0]}")
    for name in names or PARTS:
        for row in PARTS[name]():
            table.add_row(row.figure, row.value, row.target + MARKS[row.met])
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
