"""The proof of delivery over a year of receipts, one every ten seconds, on the embedded store.

python -m tests.bench.delivery [DAYS]
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from contract.reading import PointId
from server.app import open_works
from server.config import load_config
from server.delivery import prove, rolled
from server.jobs.receipts import agent_logs, roll_deliveries, said_in
from server.periods import DAY_MS, Interval
from server.series import Series
from server.store.duck import DuckStore
from simulators.layout import SITE
from simulators.site_files import write_site

T = TypeVar("T")
T0 = 1_767_196_800_000
STEP_MS = 10_000
LOST = 5  # of the parcels, spread over the year


def fill(store: DuckStore, days: int) -> None:
    """Load the receipts of one agent, a few of them missing."""
    n = days * DAY_MS // STEP_MS
    number = np.delete(np.arange(1, n + 1), np.linspace(n // 9, n - n // 9, LOST, dtype=np.int64))
    sent = T0 + number * STEP_MS + number * 7919 % 900
    columns = {
        "sequence_first": number, "sequence_last": number, "oldest_ms": T0 + number * STEP_MS,
        "newest_ms": T0 + number * STEP_MS, "readings_sent": np.full(len(number), 400),
        "outbox_id": np.full(len(number), 2**47 + 5), "sequence_next": number + 1,
    }  # fmt: skip
    for name, values in columns.items():
        point = PointId(SITE, "a1", name)
        store.load_series(point, Series(sent, values.astype(np.float64)))
    end = sent[-1:] + 60_000
    for name in ("queued_first", "queued_last", "queued_parcels"):
        store.load_series(PointId(SITE, "a1", name), Series(end, np.zeros(1)))


def timed(what: str, work: Callable[[], T]) -> T:
    """Do it and print how long it took."""
    start = time.perf_counter()
    out = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<58} {time.perf_counter() - start:8.3f} s   peak {peak:6.0f} MiB")  # noqa: T201 - a report
    return out


def main() -> None:
    """Print the table."""
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 365
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_site(folder)
        (folder / "tokens").write_text("token")
        (folder / "server.yaml").write_text(
            "site_file: ./site.yaml\nstore: {url: 'duckdb:///./r.duckdb'}\n"
            "state: {url: 'sqlite:///./s.db'}\nwrite_tokens_file: ./tokens\n"
        )
        works = open_works(load_config(folder / "server.yaml"))
        assert isinstance(works.store, DuckStore)
        fill(works.store, days)
        now_ms = T0 + (days + 3) * DAY_MS
        works.store.maintain(99, now_ms, None)
        whole = Interval(T0, T0 + days * DAY_MS)
        log = timed("read every receipt", lambda: said_in(works, Interval(0, 2 * T0))["a1"])
        print(f"{len(log.runs):,} receipts")  # noqa: T201 - a report
        proof = timed("prove the year from every receipt", lambda: prove(log, whole, now_ms))
        assert sum(f.parcels or 0 for f in proof.findings) == LOST
        timed("read and join them, a week at a time", lambda: agent_logs(works, fresh_to_ms=now_ms))
        timed("join the year's receipts in memory", lambda: rolled(log.runs))
        timed("roll the year up, day by day, into state", lambda: roll_deliveries(works, now_ms))
        brief = timed("read what is kept in state", lambda: agent_logs(works)["a1"])
        print(f"{len(brief.runs):,} runs, {len(brief.runs.tobytes()):,} bytes")  # noqa: T201 - a report
        again = timed("prove the year from it", lambda: prove(brief, whole, now_ms))
        assert again.findings == proof.findings
        works.store.close()
        works.state.close()


if __name__ == "__main__":
    main()
