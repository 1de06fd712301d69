"""A month in virtual time: the real agent, outages of every length, memory and file watched.

Poll loops, outbox, push, clock, health and watchdog are the real ones on a loop that jumps to its
next timer; devices answer by script, the store is a real HTTP server with outages of random length.
python -m tests.faults.month DAYS [SEED] prints what was found.
"""

import asyncio
import gc
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import structlog

from contract.reading import Reason
from edge.agent import Agent, open_outbox
from edge.clock import AgentClock, ClockMark, KeptTime
from edge.config import AgentConfig
from edge.outbox import Outbox
from edge.push import Pusher
from simulators.stage import footprint
from tests.edge.clock_machine import VirtualMachine
from tests.edge.virtual import T0_MS, ScriptedDriver, VirtualLoop
from tests.faults.evidence import Points, compared, proof_of
from tests.faults.journal import Journal, records
from tests.faults.sink import DurableSink, lines_in
from tests.faults.source import commits_noted

DAY_S, HOUR_S, MINUTE_S = 86_400.0, 3600.0, 60.0
INTERVAL_S, COMMIT_S = 60.0, 1.0
_SHORTEST_S, _LONGEST_S = 3 * MINUTE_S, 5 * DAY_S
_SILENT_SHARE = 0.002  # of reads: no answer
_STATUSES = (503, 502, 429, 403, 404)
_WARM_UP_SHARE = 0.2  # of the time, before memory is looked at


@dataclass
class Month:
    """What was found."""

    days: float
    outages: int = 0
    outage_hours: float = 0.0
    longest_outage_hours: float = 0.0
    commits: int = 0
    pushes: int = 0
    points: int = 0
    lost: int = 0
    invented: int = 0
    doubled: int = 0
    slots_missing: int = 0
    proof: str = ""
    largest_file_bytes: int = 0
    most_parcels: int = 0
    most_rss_mib: float = 0.0
    rss_slope_kib_per_day: float = 0.0
    loops_stalled: int = 0
    seconds: float = 0.0
    rss_mib: list[float] = field(default_factory=list)

    def summary(self) -> str:
        """Give the figures as a few lines."""
        return (
            f"{self.days:g} days in {self.seconds:.0f} s: {self.outages} outages, in all"
            f" {self.outage_hours:.0f} h, the longest {self.longest_outage_hours:.1f} h;"
            f" {self.points:,} points in {self.commits:,} commits and {self.pushes:,} pushes\n"
            f"lost {self.lost}, doubled {self.doubled}, slots missing {self.slots_missing};"
            f" the server's proof: {self.proof}\n"
            f"largest file {self.largest_file_bytes:,} bytes (at most {self.most_parcels:,} parcels"
            f" waited); memory {self.most_rss_mib:.1f} MiB at most,"
            f" {self.rss_slope_kib_per_day:+.1f} KiB a day"
        )


class Loop(VirtualLoop):
    """A virtual loop that leaves signals to the process: it never looks at its pipe."""

    def add_signal_handler(self, *_: object) -> None:
        pass


class Committing:
    """Commits an interval after the first round that waits, in virtual time.

    The outbox's own thread waits in real time; it is never started.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox, self._put = outbox, outbox.put
        self._something = asyncio.Event()
        outbox._committer = _NoThread()  # type: ignore[assignment] # what starts only where there is none
        outbox.put = self.put  # type: ignore[method-assign] # the one place all rounds pass

    def put(
        self, bus: str, slot_ms: int, lines: Sequence[str], readings: int,
        mark: ClockMark | None = None,
    ) -> None:  # fmt: skip
        self._put(bus, slot_ms, lines, readings, mark)
        self._something.set()

    async def run(self) -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(COMMIT_S)
            self._something.clear()
            self._outbox.commit()


class _NoThread:
    def join(self) -> None:
        pass


def outages(rng: random.Random, days: float) -> Iterator[tuple[float, float]]:
    """Give (start, end) in virtual seconds: a length of every scale, about half of the time up."""
    longest_s, now_s = min(_LONGEST_S, days * DAY_S / 4), HOUR_S
    lengths = [longest_s]  # the longest there may be is always among them
    while sum(lengths) < days * DAY_S * 0.45:
        lengths.append(_SHORTEST_S * (longest_s / _SHORTEST_S) ** rng.random())
    rng.shuffle(lengths)
    spare_s = days * DAY_S - sum(lengths) - 3 * HOUR_S
    cuts = sorted(rng.uniform(0, spare_s) for _ in lengths)
    for length_s, (before_s, at_s) in zip(lengths, pairwise([0.0, *cuts]), strict=True):
        now_s += at_s - before_s
        yield now_s, now_s + length_s
        now_s += length_s


def config_of(folder: Path, url: str) -> AgentConfig:
    (folder / "token").write_text("t")
    return AgentConfig.model_validate(
        {
            "site": "s",
            "agent": "a1",
            "interval_s": INTERVAL_S,
            "outbox": {"path": str(folder / "o.db"), "max_bytes": 50_000_000},
            "push": {"url": url, "token_file": str(folder / "token")},
            "connections": [
                {"id": f"c{i}", "driver": "modbus-tcp", "host": "127.0.0.1"} for i in (1, 2)
            ],
            "devices": [
                {"id": f"E{i}", "connection": f"c{i}", "profile": "eastron/sdm630"} for i in (1, 2)
            ],
        }
    )


def run(folder: Path, days: float, seed: int) -> Month:
    """Live through some days; then hold what arrived against what was acknowledged."""
    found, began_s, loop = Month(days), time.monotonic(), Loop()
    noted = Journal(folder / "acknowledged", syncs=False)
    with DurableSink(folder / "stored", syncs=False) as store, commits_noted(noted.append):
        store.time_ms = lambda: T0_MS + int(loop.time() * 1000)
        try:
            loop.run_until_complete(_lives(found, folder, store, random.Random(seed)))
        finally:
            loop.close()
    _judge(found, folder)
    found.seconds = round(time.monotonic() - began_s, 1)
    return found


async def _lives(found: Month, folder: Path, store: DurableSink, rng: random.Random) -> None:
    machine = VirtualMachine()
    machine.is_synced = True
    clock = AgentClock(KeptTime(folder / "clock.json"), machine, "ntp")
    agent = Agent.build(config_of(folder, f"http://127.0.0.1:{store.port}"), clock)
    drivers = []
    for bus in agent.buses:
        driver = ScriptedDriver()
        driver.says = lambda unit, block: Reason.TIMEOUT if rng.random() < _SILENT_SHARE else None
        bus.driver = driver
        drivers.append(driver)
    committing = asyncio.create_task(Committing(agent.outbox).run())
    task = asyncio.create_task(agent.run())
    failing = asyncio.create_task(_fails(found, store, rng))
    for _ in range(int(found.days * DAY_S / HOUR_S)):
        await asyncio.sleep(HOUR_S)
        for driver in drivers:
            driver.asked.clear()
        _look(found, agent, folder)
    await failing
    while agent.outbox.waiting()[0] > 1:
        await asyncio.sleep(MINUTE_S)
        _look(found, agent, folder)
    agent.stopping.set()
    await task
    committing.cancel()
    with suppress(asyncio.CancelledError):
        await committing
    _drain(agent)
    found.pushes = store.posts
    found.largest_file_bytes = max(found.largest_file_bytes, _size(folder))


def _drain(agent: Agent) -> None:
    """Send what was read while the agent stopped."""
    box = open_outbox(agent.config)
    box.use(agent.clock)
    push = Pusher(agent.config, box, agent.clock)
    while box.waiting()[0]:
        push.push()
    box.close()


async def _fails(found: Month, store: DurableSink, rng: random.Random) -> None:
    now_s = 0.0
    for start_s, end_s in outages(rng, found.days):
        await asyncio.sleep(start_s - now_s)
        store.refuses = rng.choice(_STATUSES)
        await asyncio.sleep(end_s - start_s)
        store.refuses = None
        now_s, hours = end_s, (end_s - start_s) / HOUR_S
        found.outages += 1
        found.outage_hours += hours
        found.longest_outage_hours = max(found.longest_outage_hours, hours)


def _look(found: Month, agent: Agent, folder: Path) -> None:
    gc.collect()
    found.rss_mib.append(footprint(os.getpid()).rss_mib)
    found.largest_file_bytes = max(found.largest_file_bytes, _size(folder))
    found.most_parcels = max(found.most_parcels, agent.outbox.waiting()[0])
    found.loops_stalled += len(agent.progress.stalled())


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.glob("o.db*") if p.is_file())


def _judge(found: Month, folder: Path) -> None:
    tail = found.rss_mib[int(len(found.rss_mib) * _WARM_UP_SHARE) :]
    slope = np.polyfit(np.arange(len(tail)) / 24, np.array(tail) * 1024, 1)[0]
    found.rss_slope_kib_per_day, found.most_rss_mib = round(float(slope), 2), max(tail)
    source, sink = Points(), Points()
    for record in records(folder / "acknowledged"):
        found.commits += 1
        source.add(record.decode().split("\n"))
    stored = list(lines_in(folder / "stored"))
    sink.add(stored)
    verdict = compared(source, sink)
    found.points, found.lost = verdict.points, len(verdict.lost)
    found.invented, found.doubled = len(verdict.invented), len(verdict.doubled)
    for name in ("E1", "E2"):
        slots = sorted(
            t for series, t in sink.said if series.startswith(f"electricity,device={name},")
        )
        found.slots_missing += round((slots[-1] - slots[0]) / 1000 / INTERVAL_S) + 1 - len(slots)
    proof = proof_of("a1", stored)
    found.proof = "COMPLETE" if proof.is_complete else repr(proof.findings)


def quiet() -> None:
    """Let the agent's log say nothing."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


if __name__ == "__main__":
    quiet()
    with tempfile.TemporaryDirectory() as name:
        told = run(Path(name), float(sys.argv[1]), int((sys.argv[2:] or ["30"])[0]))
    sys.stdout.write(f"{told.summary()}\n")
