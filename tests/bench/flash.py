"""make bench-flash: what the agent has written to its card a day; ROUNDS=8640 for a whole day's.

The real agent, 20 meters × 20 values each 10 s, everything SPEED times as fast: rounds, commits,
pushes and health alike, so that a round costs what it costs in the field.  Counted is
`write_bytes` of /proc/PID/io between two rounds, each case with a server and without one.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.bench.edge.bench import ROOT, Bench, ended
from tests.bench.edge.meters import FLOATS_20, lay_profile, write_agent, write_image
from tests.bench.edge.slaves import tcp_slave

METERS, INTERVAL_S, ROUNDS_A_DAY = 20, 10.0, 8_640
SPEED = 20
BUDGET_MB = 120.0
SETTLE_ROUNDS = 40
ROUNDS = int(os.environ.get("ROUNDS", "600"))
_NOBODY = "http://127.0.0.1:9"
_AGENT = (
    "import sys, edge.agent; edge.agent.HEALTH_INTERVAL_MS //= {speed};"
    "from edge.cli import main; sys.exit(main())"
)


@dataclass(frozen=True, slots=True)
class Case:
    """What is run: meters on so many lines, a server, and the outbox's `commit_interval_s`."""

    name: str
    lines: int
    url: str
    commit_s: float = INTERVAL_S


@dataclass(frozen=True, slots=True)
class Written:
    """What one case wrote."""

    case: str
    rounds: int
    values: int
    bytes: int

    @property
    def mb_a_day(self) -> float:
        return self.bytes / self.rounds * ROUNDS_A_DAY / 1e6

    @property
    def bytes_a_value(self) -> float:
        return self.bytes / max(self.values, 1)


def write_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/io").read_text("ascii")
    return next(int(ln.split()[1]) for ln in text.splitlines() if ln.startswith("write_bytes"))


def config_of(path: Path, port: int, ref: str, case: Case) -> Path:
    """Write agent.yaml of 20 meters on some lines, everything SPEED times as fast."""
    connections = [
        {
            "id": f"c{i}", "driver": "modbus-tcp", "host": f"127.0.0.{i + 1}", "port": port,
            "turnaround_ms": 0,
        }
        for i in range(case.lines)
    ]  # fmt: skip
    devices = [
        {"id": f"M{m}", "connection": f"c{m % case.lines}", "unit": m + 1, "profile": ref}
        for m in range(METERS)
    ]
    write_agent(path, connections, devices, INTERVAL_S / SPEED, case.url)
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    content["push"]["interval_s"] = 10 / SPEED
    content["outbox"]["commit_interval_s"] = case.commit_s / SPEED
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return path


def measured(bench: Bench, case: Case) -> Written:
    """Run the agent for some rounds; give what it wrote meanwhile."""
    folder = bench.folder / case.name.replace(" ", "-").replace(",", "")
    folder.mkdir()
    ref = lay_profile(bench.folder, "m40", FLOATS_20)
    with tcp_slave(bench.folder, 0.0, write_image(bench.folder / "image")) as slave:
        config = config_of(folder / "agent.yaml", slave.port, ref, case)
        command = [sys.executable, "-c", _AGENT.format(speed=SPEED), "run", "--config", str(config)]
        process = bench.start(command, f"{folder.name}.log")
        try:
            time.sleep(SETTLE_ROUNDS * INTERVAL_S / SPEED)
            written, answered = write_bytes(process.pid), slave.counts().answered
            time.sleep(ROUNDS * INTERVAL_S / SPEED)
            written = write_bytes(process.pid) - written
            answered = slave.counts().answered - answered
        finally:
            code = ended(process)
    if code:
        raise RuntimeError((bench.folder / f"{folder.name}.log").read_text("utf-8")[-3000:])
    return Written(case.name, round(answered / METERS), answered * len(FLOATS_20), written)


def all_cases(bench: Bench) -> Iterable[Written]:
    sink = bench.start([sys.executable, "-m", "tests.bench.edge.sink", str(bench.folder)], "sink")
    try:
        while not (bench.folder / "port").exists():
            time.sleep(0.05)
        there = f"http://127.0.0.1:{(bench.folder / 'port').read_text('ascii')}"
        cases = [
            Case("1 line, server there", 1, there),
            Case("1 line, server away", 1, _NOBODY),
            Case(f"{METERS} lines, server there", METERS, there),
            Case(f"{METERS} lines, server away", METERS, _NOBODY),
            Case(f"{METERS} lines, a commit a second", METERS, there, 1.0),
        ]
        task = bench.progress.add_task("cases", total=len(cases))
        for case in cases:
            bench.progress.update(task, description=case.name)
            yield measured(bench, case)
            bench.progress.advance(task)
    finally:
        ended(sink)


def main() -> int:
    """Print the table; 0 whatever it says."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    (ROOT / ".bench").mkdir(exist_ok=True)  # a disk, where the temporary folder may be memory
    with (
        tempfile.TemporaryDirectory(prefix="flash-", dir=ROOT / ".bench") as folder,
        Progress(*columns, console=console) as progress,
    ):
        found = list(all_cases(Bench(Path(folder), progress)))
    size = f"{METERS} meters × {len(FLOATS_20)} values each {INTERVAL_S:g} s"
    title = f"flash · {size} · {SPEED} × faster"
    table = Table("case", "rounds", "B a value", "MB a day", f"budget {BUDGET_MB:g}", title=title)
    for it in found:
        met = "✓" if it.mb_a_day <= BUDGET_MB else "✗ missed"
        table.add_row(it.case, str(it.rounds), f"{it.bytes_a_value:.1f}", f"{it.mb_a_day:.1f}", met)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
