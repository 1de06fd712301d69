"""The outbox: takes rounds in at once, writes them in group commits, gives them out as parcels."""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import structlog

from contract.clock import Clock, SystemClock
from contract.reading import Reason
from edge.outbox.disk import DiskLedger, set_aside
from edge.outbox.parcel import Batch, Bounds, Change, ClockMark, Parcel, Refused, Round, packed
from edge.outbox.restamp import restamped
from edge.outbox.spans import Spans

COMMIT_INTERVAL_S = 1.0
RESTAMPED_AT_ONCE = 200
log = structlog.get_logger()


class Outbox:
    """A durable queue of parcels.  Thread-safe; `put` and the counts never wait for the disk.

    What is put is durable one commit interval and one commit later; only what is durable is given
    out.  What is settled is forgotten with the next commit: a cut before it costs a resend.
    """

    def __init__(
        self,
        path: Path,
        bounds: Bounds,
        *,
        commit_interval_s: float = COMMIT_INTERVAL_S,
        clock: Clock | None = None,
    ) -> None:
        self.path, self._bounds, self._interval_s = path, bounds, commit_interval_s
        self._clock = clock or SystemClock()
        self.set_aside: Path | None = None  # the broken file, when one was found at the start
        self._ledger = self._open()
        marks = self._ledger.marks()
        self._slots = {n[4:]: v for n, v in marks.items() if n.startswith("bus:")}
        self._tally = {n[6:]: v for n, v in marks.items() if n.startswith("tally:")}
        self._sequence = marks.get(_next_of(self._ledger.outbox_id), 1)
        self._position = self._ledger.last_position() + 1
        self._waiting, self._bytes = self._ledger.totals()
        self._settled, self._refused = Spans(), list[Refused]()
        self._rounds = deque[Round]()
        self._lock = threading.RLock()  # of the ledger and of what rides on the next commit
        self._something, self._closing = threading.Event(), threading.Event()
        self._committer: threading.Thread | None = None
        self._starting = threading.Lock()

    def put(
        self,
        bus: str,
        slot_ms: int,
        lines: Sequence[str],
        readings: int,
        mark: ClockMark | None = None,
    ) -> None:
        """Take a bus's round in, to be written with the next commit; never waits."""
        self._rounds.append(Round(bus, slot_ms, lines, readings, mark))
        self._slots[bus] = slot_ms
        if self._committer is None:
            self._start()
        if not self._something.is_set():
            self._something.set()

    def commit(self) -> None:
        """Write what waits to be written, now; durable when it returns.  sqlite3.Error."""
        with self._lock:
            rounds = [self._rounds.popleft() for _ in range(len(self._rounds))]
            try:
                self._write(rounds)
            except sqlite3.Error:
                self._rounds.extendleft(reversed(rounds))
                raise

    def last_slot(self, bus: str) -> int | None:
        """Give the last slot put for a bus, also when it has long been pushed."""
        return self._slots.get(bus)

    def take(self, max_bytes: int) -> Batch:
        """Give the oldest parcels, at least one if any waits; they stay until settled.

        Their sequence numbers follow one another.
        """
        taken: list[Parcel] = []
        size = 0
        with self._lock:
            gaps = self._settled.gaps(1, self._position - 1)
            for p in chain.from_iterable(self._ledger.parcels(span) for span in gaps):
                if taken and (
                    size + len(p.body) > max_bytes
                    or (p.outbox_id, p.sequence) != (taken[-1].outbox_id, taken[-1].sequence + 1)
                ):
                    break
                taken.append(p)
                size += len(p.body)
        return tuple(taken)

    def settle(self, batch: Batch, refused: Sequence[Refused] = ()) -> None:
        """Forget a batch the server keeps; what it refuses of it goes aside."""
        with self._lock:
            self._refused += refused
            self._count("quarantined", len(refused))
            for p in batch:
                if p.position not in self._settled:
                    self._settled.add((p.position, p.position))
                    self._waiting -= 1
                    self._bytes -= len(p.body)

    def held_boots(self) -> list[str]:
        """Give the boots whose parcels wait for a clock, oldest first."""
        with self._lock:
            return self._ledger.boots()

    def restamp(
        self, boot_id: str, to_slot: Callable[[int, int], int], doubt: Reason | None = None
    ) -> int:
        """Give a boot's held lines their true times and let them go; give how many parcels.

        `to_slot(stamped slot, interval)` gives the true slot, all in ms; `doubt` is put beside
        every good value.  sqlite3.Error.
        """
        with self._lock:
            self.commit()
            done = 0
            while held := self._ledger.held(boot_id, RESTAMPED_AT_ONCE):
                some = [restamped(p, to_slot, doubt) for p in held]
                before = self._ledger.totals()[1]
                self._ledger.apply(Change(some))
                self._bytes += self._ledger.totals()[1] - before
                done += len(some)
            return done

    def sequence_next(self, outbox_id: int) -> int:
        """Give the number the next parcel of a ledger gets: all below have been given out."""
        if outbox_id == self._ledger.outbox_id:
            return self._sequence
        with self._lock:
            return self._ledger.marks().get(_next_of(outbox_id), 0)

    def quarantined(self) -> list[Refused]:
        """Give what was refused line by line, oldest first."""
        with self._lock:
            return [*self._ledger.refused(), *self._refused]

    def waiting(self) -> tuple[int, int]:
        """Give (parcels, bytes) that wait to be pushed."""
        return self._waiting, self._bytes

    def tally(self, name: str) -> int:
        """Give a count kept over restarts: `dropped` parcels, `quarantined` lines."""
        return self._tally.get(name, 0)

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._closing.set()
        self._something.set()
        if self._committer is not None:
            self._committer.join()
        with self._lock:
            try:
                self.commit()
            except sqlite3.Error as error:
                log.error("outbox_not_written", error=str(error), rounds=len(self._rounds))
            self._ledger.close()

    def _open(self) -> DiskLedger:
        try:
            return DiskLedger(self.path)
        except sqlite3.DatabaseError:  # a broken file is set aside: the agent always starts
            self.set_aside = set_aside(self.path)
            return DiskLedger(self.path)

    def _start(self) -> None:
        with self._starting:
            if self._committer is None:
                self._committer = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._committer.start()

    def _run(self) -> None:
        """Commit once an interval while there is something to commit."""
        while not self._closing.is_set():
            self._something.wait()
            self._closing.wait(self._interval_s)  # whatever is put meanwhile goes along
            self._something.clear()
            try:
                self.commit()
            except sqlite3.Error as error:
                log.error("outbox_not_written", error=str(error), rounds=len(self._rounds))
                self._something.set()

    def _write(self, rounds: Sequence[Round]) -> None:
        outbox_id = self._ledger.outbox_id
        change = Change(
            packed(rounds, outbox_id, self._position, self._sequence),
            gone=list(self._settled),
            refused=self._refused,
            at_ms=self._clock.now_ms(),
        )
        if not (change.parcels or change.gone or change.refused):
            return
        dropped = self._over_bounds(change)
        change.marks = {f"bus:{r.bus}": r.slot_ms for r in rounds}
        change.marks |= {f"tally:{n}": v for n, v in self._tally.items()}
        change.marks["tally:dropped"] = self.tally("dropped") + len(dropped)
        change.marks[_next_of(outbox_id)] = self._sequence + len(change.parcels)
        self._ledger.apply(change)
        self._settled, self._refused = Spans(), []
        self._count("dropped", len(dropped))
        self._position += len(change.parcels)
        self._sequence += len(change.parcels)
        self._waiting += len(change.parcels) - len(dropped)
        self._bytes += sum(len(p.body) for p in change.parcels) - sum(dropped)

    def _over_bounds(self, change: Change) -> list[int]:
        """Let the oldest parcels go with a change that would break the bounds; give their sizes."""
        plain = [p.newest_ms for p in change.parcels if p.boot is None]
        if not plain:
            return []
        oldest_ms = max(plain) - self._bounds.max_age_ms
        excess = self._bytes + sum(len(p.body) for p in change.parcels) - self._bounds.max_bytes
        gone: dict[int, int] = {}
        for position, newest_ms, size in self._ledger.sizes():
            if newest_ms >= oldest_ms and excess <= 0:
                break
            if position not in self._settled:
                gone[position] = size
                excess -= size
        change.gone += [(position, position) for position in gone]
        return list(gone.values())

    def _count(self, name: str, more: int) -> None:
        self._tally[name] = self._tally.get(name, 0) + more


def _next_of(outbox_id: int) -> str:
    return f"next:{outbox_id}"
