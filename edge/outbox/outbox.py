"""The outbox: takes rounds in at once, writes them in group commits, gives them out as parcels."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from contract.clock import Clock, SystemClock
from contract.reading import Reason
from edge.clock.marks import ClockMark, ToSlot
from edge.outbox.broken import Fault
from edge.outbox.delivery import DeliveryLines
from edge.outbox.keeper import Keeper
from edge.outbox.parcel import PRIMARY, Batch, Bounds, Parcel, Refused, Round, Span

COMMIT_INTERVAL_S = 1.0
_TRIES = 3  # of one commit: on the file, on a fresh one, in memory
_MOST_ROUNDS = 100_000  # that wait while a disk is busy
_SLOWEST_S = 60.0  # a commit beside the interval
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Terms:
    """What an outbox promises beside its bounds."""

    commit_interval_s: float = COMMIT_INTERVAL_S  # what a power cut may cost
    ram_max_bytes: int = 32_000_000  # while there is no disk
    heal_interval_s: float = 10.0  # between two tries to go back to the disk


class Outbox:
    """A durable queue of parcels.  Thread-safe; `put` and the counts never wait for the disk.

    What is put is durable one commit interval and one commit later; only what is durable is given
    out.  What is settled is forgotten with the next commit: a cut before it costs a resend.
    While the file cannot be written all this holds for memory instead, and `in_ram` says so.
    """

    def __init__(
        self,
        path: Path,
        bounds: Bounds,
        terms: Terms | None = None,
        *,
        copies: Mapping[str, Bounds] | None = None,
        delivery: DeliveryLines | None = None,
        clock: Clock | None = None,
        thread_s: Callable[[], float] = time.monotonic,  # of the committer, however slots are told
    ) -> None:
        self._thread_s = thread_s
        self.path, self._terms, self._clock = path, terms or Terms(), clock or SystemClock()
        self.delivery, self.is_alone = delivery, not copies  # one destination only
        ram_bytes = self._terms.ram_max_bytes
        self._keeper = Keeper(path, bounds, ram_bytes, copies or {}, delivery, self._clock)
        self._rounds = deque[Round]()
        self._lock = threading.RLock()  # of the keeper
        self._something, self._closing = threading.Event(), threading.Event()
        self._committer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._healing_at_s, self._written_at_s = self._clock.monotonic_s(), self._thread_s()

    def use(self, clock: Clock) -> None:
        """Tell the time by another clock; before anything is put."""
        self._clock = self._keeper.clock = clock
        if self.delivery is not None:
            self.delivery.clock = clock
        self._healing_at_s = clock.monotonic_s()

    def put(
        self,
        bus: str,
        slot_ms: int,
        lines: Sequence[str],
        readings: int,
        mark: ClockMark | None = None,
    ) -> None:
        """Take a bus's round in, to be written with the next commit; never waits."""
        if not self._rounds:
            self._written_at_s = self._thread_s()
        self._rounds.append(Round(bus, slot_ms, lines, readings, mark))
        self._keeper.slots[bus] = slot_ms
        if self._committer is None:
            self._start()
        if not self._something.is_set():
            self._something.set()

    def commit(self) -> None:
        """Write what waits to be written, now; sqlite3.Error when the file is busy for long."""
        self._commit(last=False)

    def last_slot(self, bus: str) -> int | None:
        """Give the last slot put for a bus, also when it has long been pushed."""
        return self._keeper.slots.get(bus)

    def take(self, max_bytes: int, destination: str = PRIMARY) -> Batch:
        """Give the oldest parcels, at least one if any waits; they stay until settled.

        Their sequence numbers follow one another.
        """
        with self._lock:
            newest = self._keeper.position - 1
            return self._take(max_bytes, self._keeper.positions.gaps(destination, newest))

    def take_new(self, max_bytes: int, destination: str = PRIMARY) -> Batch:
        """Give parcels that a destination was not offered yet; they are offered only once."""
        with self._lock:
            positions, newest = self._keeper.positions, self._keeper.position - 1
            batch = self._take(max_bytes, positions.unoffered(destination, newest))
            if batch:
                positions.offered(destination, batch[-1].position)
            return batch

    def settle(
        self,
        batch: Batch,
        refused: Sequence[Refused] = (),
        destination: str = PRIMARY,
        rest: tuple[Parcel, Sequence[str]] | None = None,
    ) -> None:
        """Forget a batch the server keeps; what it refuses of it goes aside.

        `rest` is a parcel of which only some lines are left to be sent.
        """
        with self._lock:
            self._keeper.settle(batch, refused, destination)
            if rest is not None:
                try:
                    self._keeper.leave(*rest)
                except (sqlite3.Error, OSError) as error:
                    self._keeper.fall(error)

    def held_boots(self) -> list[str]:
        """Give the boots whose parcels wait for a clock, oldest first.  sqlite3.Error."""
        with self._lock:
            return self._keeper.store.boots()

    def restamp(self, boot_id: str, to_slot: ToSlot, doubt: Reason) -> int:
        """Give a boot's held lines their true times and let them go; give how many parcels.

        `to_slot(stamped slot, interval)` gives the true slot, all in ms; `doubt` is put beside
        every good value.  sqlite3.Error.
        """
        with self._lock:
            self.commit()
            try:
                return self._keeper.restamp(boot_id, to_slot, doubt)
            except (sqlite3.Error, OSError) as error:
                self._keeper.fall(error)
                return self._keeper.restamp(boot_id, to_slot, doubt)

    def sequence_next(self, outbox_id: int) -> int | None:
        """Give the number the next parcel of a ledger gets: all below have been given out."""
        with self._lock:
            return self._keeper.sequence_next(outbox_id)

    def is_owed(self, destination: str = PRIMARY) -> bool:
        """Say whether more may wait for a destination."""
        return destination != PRIMARY or self._keeper.waiting > 0

    def quarantined(self) -> list[Refused]:
        """Give what was refused line by line, oldest first."""
        with self._lock:
            return [*self._keeper.store.refused(), *self._keeper.refused]

    def waiting(self) -> tuple[int, int]:
        """Give (parcels, bytes) that wait to be pushed."""
        return self._keeper.waiting, self._keeper.bytes

    def is_writing(self) -> bool:
        """Say whether nothing waits to be written for longer than a disk may take."""
        return not self._rounds or self._thread_s() - self._written_at_s < _SLOWEST_S

    def tally(self, name: str) -> int:
        """Give a count kept over restarts.

        `dropped` parcels, `dropped_readings`, `quarantined` lines, files `set_aside`, and readings
        a copy has missed: `missed:<id>`.
        """
        return self._keeper.tally.get(name, 0)

    @property
    def set_aside(self) -> Path | None:
        """Give the damaged file that was put away last."""
        return self._keeper.store.set_aside

    @property
    def in_ram(self) -> str | None:
        """Give why what is put now is kept in memory only; None while the disk keeps it."""
        return self._keeper.store.error

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._closing.set()
        self._something.set()
        if self._committer is not None:
            self._committer.join()
        with self._lock:
            try:
                self._commit(last=True)
            except (sqlite3.Error, OSError) as error:
                log.error("outbox_not_written", error=str(error), rounds=len(self._rounds))
            self._keeper.store.close()

    def _start(self) -> None:
        with self._starting:
            if self._committer is None:
                self._committer = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._committer.start()

    def _run(self) -> None:
        """Commit once an interval while there is something to commit."""
        is_busy = False
        while not self._closing.is_set():
            self._something.wait()
            self._closing.wait(self._terms.commit_interval_s)  # whatever is put goes along
            self._something.clear()
            try:
                self.commit()
                is_busy = False
            except (sqlite3.Error, OSError) as error:
                if not is_busy:
                    log.warning("outbox_busy", error=str(error), rounds=len(self._rounds))
                is_busy = True
                self._something.set()

    def _commit(self, *, last: bool) -> None:
        with self._lock:
            self._heal(now=last)
            for tries_left in reversed(range(_TRIES)):
                rounds = [self._rounds.popleft() for _ in range(len(self._rounds))]
                try:
                    self._keeper.write(rounds, last=last)
                except (sqlite3.Error, OSError) as error:
                    self._rounds.extendleft(reversed(self._keeper.newest(rounds, _MOST_ROUNDS)))
                    if self._keeper.fall(error) is Fault.BUSY or not tries_left:
                        raise
                else:
                    self._written_at_s = self._thread_s()
                    return

    def _heal(self, *, now: bool) -> None:
        now_s = self._clock.monotonic_s()
        if self._keeper.store.ram is None or not (
            now or now_s - self._healing_at_s >= self._terms.heal_interval_s
        ):
            return
        self._healing_at_s = now_s
        with suppress(sqlite3.Error, OSError):  # not yet
            self._keeper.heal()

    def _take(self, max_bytes: int, spans: Iterator[Span]) -> Batch:
        try:
            return self._keeper.take(max_bytes, spans)
        except (sqlite3.Error, OSError) as error:
            self._keeper.fall(error)
            return ()
