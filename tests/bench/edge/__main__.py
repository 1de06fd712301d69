"""make bench-edge: what the edge costs on this machine, beside others doing the same.

Every ratio is the median of runs side by side in one run; CPU is user + system of the process
itself.  `python -m tests.bench.edge PART …` runs some parts only; SOAK_MIN=30 watches the memory
longer.  The row beside collectd needs Debian's collectd-core (its service may stay off).
"""

import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.bench.edge.agents import soak, whole_agent
from tests.bench.edge.bench import Bench
from tests.bench.edge.dead import dead_unit
from tests.bench.edge.lines import serial_lines
from tests.bench.edge.meters_tcp import cost_of_a_read, device_limit
from tests.bench.edge.requests import requests_of_a_poll

PARTS: Mapping[str, Callable[[Bench], None]] = {
    "line": serial_lines,
    "limit": device_limit,
    "cost": cost_of_a_read,
    "requests": requests_of_a_poll,
    "dead": dead_unit,
    "agent": whole_agent,
    "soak": soak,
}
MARKS = {True: " ✓", False: " ✗ missed", None: ""}


def main(names: list[str]) -> int:
    """Run the parts; print the table; 0 whatever it says, 2 for a part that does not exist."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    if unknown := [n for n in names if n not in PARTS]:
        console.print(f"no part {', '.join(unknown)}; fix: use some of {', '.join(PARTS)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="bench-edge-") as folder,
        Progress(*columns, console=console) as progress,
    ):
        bench = Bench(Path(folder), progress)
        for name in names or PARTS:
            PARTS[name](bench)
    table = Table("figure", "value", "target", title=f"edge · Python {sys.version.split()[0]}")
    for row in bench.rows:
        table.add_row(row.figure, row.value, row.target + MARKS[row.met])
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
