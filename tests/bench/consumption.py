"""make bench-server: what exact consumption costs, beside the plain ways of doing the same.

DAYS=365 for a whole year.  Everything is made, measured and compared in one run.
"""

import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import peers, raw, recompute, served
from tests.bench.meters import METERS, Row


def main() -> int:
    """Measure; print the table."""
    days = int(os.environ.get("DAYS", "60"))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        rows += [load_row("when begun"), *consumption(folder, days)]
        rows += [load_row("before the server's part"), *server(folder)]
    table = Table("figure", "value", "target", title=f"{METERS} meters · {days} days · 1 min")
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)
    return 0


def load_row(when: str) -> Row:
    """Say how busy the machine was: where others work on it, figures are worse than the code."""
    return (f"load of the machine {when}, last minute", f"{os.getloadavg()[0]:.1f}", "")


def consumption(folder: Path, days: int) -> list[Row]:
    """What the store and the rollup do in this process."""
    path = folder / "year.duckdb"
    rows = raw.load(path, days)
    measured, sql_s = raw.from_raw(path, days)
    rows += measured
    rows += raw.rounds(path, folder)
    path.unlink()
    rows += recompute.small(folder)
    rows += recompute.from_rollups(folder, days, sql_s)
    return rows


def server(folder: Path) -> list[Row]:
    """What the server does as a process of its own, over loopback."""
    fresh, full = served.server_file(folder / "fresh"), served.server_file(folder / "full")
    year = peers.make_year()
    rows = peers.fill(full, year)
    rows += served.idle(fresh, full)
    rows += peers.over_http(folder, full, year)
    rows += served.ingest(fresh)
    return rows


if __name__ == "__main__":
    sys.exit(main())
