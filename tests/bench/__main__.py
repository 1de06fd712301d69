"""make bench: what a run costs on this machine.  Figures, not verdicts; `.bench/` is its folder."""

import statistics
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from contract.clock import SystemClock
from simulators.demo import (
    AGENTS,
    Run,
    fill_history,
    prepare,
    start_agent,
    start_server,
    start_simulator,
)
from simulators.history import DAY_MS, HistoryWriter, bodies
from simulators.stage import Stage, footprint, stage

MONTHS, SEED = 14, 7
LIVE_S = 30.0
REPEATS = 3


def main() -> int:
    """Fill, ingest, poll; print what it took."""
    console = Console()
    run = prepare(Path(".bench"), SEED, MONTHS, 0)
    rows: list[tuple[str, str]] = []
    with stage(run.folder) as it:
        start_simulator(it, run, SEED, MONTHS)
        start_server(it, run)
        with Progress(console=console) as progress:
            rows += _fill(run, progress)
            rows += _backfill(run)
            rows += _ingest(run)
            rows += _agents(it, run)
        server = footprint(it.processes["server"].pid)
        rows.append(("server RSS (peak)", f"{server.rss_mib:.0f} ({server.peak_rss_mib:.0f}) MiB"))
        rows.append(("store on disk", f"{_size(run.folder / 'readings.duckdb'):.0f} MB"))
    table = Table(
        "figure", "value", title=f"bench · {MONTHS} months · Python {sys.version.split()[0]}"
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)
    return 0


def _size(path: Path) -> float:
    return path.stat().st_size / 1e6


def _fill(run: Run, progress: Progress) -> list[tuple[str, str]]:
    task = progress.add_task("filling history", total=run.now_ms - run.start_ms)
    began_s = time.perf_counter()
    readings = fill_history(run, progress, task)
    took_s = time.perf_counter() - began_s
    return [
        (f"seconds to fill {MONTHS} months", f"{took_s:.1f} s"),
        ("… readings", f"{readings:,}"),
        ("… readings/s, generator included", f"{readings / took_s:,.0f}"),
    ]


def _backfill(run: Run) -> list[tuple[str, str]]:
    began_s = time.perf_counter()
    done = run.client.backfill(run.start_ms, run.now_ms)
    took_s = time.perf_counter() - began_s
    text = f"{took_s:.1f} s for {done['interval_values']:,} interval values"
    return [("roll up and judge all of it", text)]


def _ingest(run: Run) -> list[tuple[str, str]]:
    """Ingest alone: bodies made beforehand, posted one after the other."""
    made = list(bodies(run.compound, run.now_ms - 60 * DAY_MS, run.now_ms))
    writer = HistoryWriter(run.client.url, run.token)
    rates = []
    for _ in range(REPEATS):
        began_s = time.perf_counter()
        for body in made:
            writer.post(body)
        rates.append(sum(b.readings for b in made) / (time.perf_counter() - began_s))
    return [("readings/s through ingest (median of 3)", f"{statistics.median(rates):,.0f}")]


def _agents(it: Stage, run: Run) -> list[tuple[str, str]]:
    for agent in AGENTS:
        start_agent(it, run, agent)
    time.sleep(6.0)  # imports and first connections are not the steady state
    before = {a: footprint(it.processes[a].pid) for a in AGENTS}
    began_ms = SystemClock().now_ms()
    time.sleep(LIVE_S)
    took_s = (SystemClock().now_ms() - began_ms) / 1000
    rows = []
    for agent in AGENTS:
        after = footprint(it.processes[agent].pid)
        share = (after.cpu_s - before[agent].cpu_s) / took_s
        text = f"{after.rss_mib:.0f} MiB · {share:.2%} of one core at 5 s"
        rows.append((f"agent {agent} RSS · CPU", text))
    return rows


if __name__ == "__main__":
    sys.exit(main())
