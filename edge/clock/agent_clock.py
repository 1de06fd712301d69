"""The agent's clock: uptime plus an offset that is judged, never the wall clock as it stands."""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path

import structlog

from contract.reading import Reason
from edge.clock.kept import Boot, KeptTime
from edge.clock.machine import Machine, ThisMachine, usual_trust
from edge.clock.marks import ClockMark, Holder, ToSlot, put_before
from edge.clock.truth import Look, TimeSource, Trust, Truth

MARKS_SAVED_S = 60.0  # while the time is not known, what is kept on the card is at most this old
log = structlog.get_logger()


class AgentClock:
    """Wall time that is known or says that it is not.

    `look` and `saved` are for one task of the event loop, which alone moves the clock; `heard`
    may be called from any thread.
    """

    def __init__(self, kept: KeptTime, machine: Machine, trust: Trust, floor_ms: int = 0) -> None:
        """Begin with a look at the machine; `floor_ms`: a time that has surely been reached."""
        self._machine, self._kept = machine, kept
        self._uptime_ms = machine.uptime_ms  # a read of a device asks for the time twice
        self._lock = threading.Lock()
        self._became_known = asyncio.Event()
        self._disagrees = False
        self.steps_total = 0
        look = machine.look()
        floor_ms = max(floor_ms, kept.known_ms)
        boot = kept.boots.get(machine.boot_id)
        if boot is None:
            boot = kept.boots[machine.boot_id] = Boot()
        elif boot.true_ms is None:  # whatever this boot has kept so far was marked
            boot.marked_ms = round(look.uptime_ms)
        if not boot.provisional_ms:  # a boot's slots must all lie on one grid
            boot.provisional_ms = round(max(look.offset_ms, floor_ms - look.uptime_ms))
        self._boot = boot
        self._truth = Truth(trust, boot.provisional_ms, floor_ms)
        if boot.true_ms is not None:
            self._truth.offset_ms, self._truth.source = boot.true_ms, TimeSource.BOOT
        self._judge(look)
        if not self.is_known:
            log.warning("clock_unknown", trust=trust)
        self.save()  # a provisional time must survive the process

    @classmethod
    def build(cls, path: Path, trust: Trust | None, floor_ms: int = 0) -> "AgentClock":
        """Give the clock of this machine; `path` is the file in which it keeps what it knows."""
        return cls(KeptTime.load(path), ThisMachine(), trust or usual_trust(), floor_ms)

    @property
    def is_known(self) -> bool:
        """Say whether the time is known."""
        return self._truth.is_known

    @property
    def has_only_the_server(self) -> bool:
        """Say whether the wall clock may be far off, and only a server can tell: the dates of
        its certificate say nothing then.
        """
        source, trust = self._truth.source, self._truth.trust
        return source is TimeSource.SERVER or (source is TimeSource.NONE and trust == "server")

    async def until_known(self, timeout_s: float) -> None:
        """Wait until the time is known, but no longer than that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._became_known.wait()

    def now_ms(self) -> int:
        """Give the time as epoch milliseconds, UTC; provisional until it is known."""
        return int(self._uptime_ms() + self._truth.offset_ms)

    def monotonic_s(self) -> float:
        """Give seconds since boot, suspended time included; never steps."""
        return self._uptime_ms() / 1000

    def mark(self, slot_ms: int, interval_ms: int) -> ClockMark | None:
        """Give what a round of this slot is kept with; None when the time is known."""
        if self.is_known:
            return None
        uptime_ms = slot_ms - self._boot.provisional_ms
        self._boot.marked_ms = max(self._boot.marked_ms, uptime_ms)
        return ClockMark(self._machine.boot_id, uptime_ms, interval_ms)

    def settled(self, slot_ms: int, interval_ms: int) -> int:
        """Give the true slot of one that was marked in this boot, once the time is known; any
        other slot as it is.
        """
        into_ms, to_slot = slot_ms - self._boot.provisional_ms, self._exact(self._machine.boot_id)
        if to_slot is None or not 0 <= into_ms <= self._boot.marked_ms:
            return slot_ms
        return to_slot(slot_ms, interval_ms)

    def heard(self, server_ms: int, sent_s: float, received_s: float) -> None:
        """Take the server's word: its time in whole seconds, and our `monotonic_s` around it."""
        with self._lock:
            self._truth.server.heard(server_ms, sent_s * 1000, received_s * 1000)

    def heard_date(self, date: str | None, sent_s: float) -> None:
        """Take the Date header of an answer to what was sent at `sent_s`; none or a bad one: no."""
        try:
            server_ms = round(parsedate_to_datetime(date or "").timestamp() * 1000)
        except ValueError:
            return
        self.heard(server_ms, sent_s, self.monotonic_s())

    def heard_age_s(self) -> float | None:
        """Give how long ago the server was heard, None before the first time."""
        heard_ms = self._truth.server.heard_ms
        return None if heard_ms is None else self.monotonic_s() - heard_ms / 1000

    async def look(self) -> bool:
        """Look at the machine's clocks and judge; say whether the time has become known."""
        await self._machine.ask_daemon()
        return self._judge(self._machine.look())

    def _judge(self, look: Look) -> bool:
        before = self._truth.source
        with self._lock:
            verdict = self._truth.judge(look)
            ahead = self._truth.server_ahead_ms(look.uptime_ms)
        if verdict.became_known:
            self._boot.true_ms = round(self._truth.offset_ms)
            self._became_known.set()
            told = {"source": self._truth.source.name.lower(), "moved_s": verdict.step_ms / 1000}
            log.info("clock_known", **told)
        elif verdict.step_ms:
            self.steps_total += 1
            log.warning("clock_stepped", seconds=verdict.step_ms / 1000)
        elif verdict.refused_ms:
            self.steps_total += 1
            log.warning("clock_jump_not_believed", seconds=verdict.refused_ms / 1000)
        elif self._truth.source is not before:
            log.info("clock_source", source=self._truth.source.name.lower())
        disagrees = ahead is not None and ahead[1] and self.is_known
        if ahead is not None and disagrees is not self._disagrees:
            event = "clock_disagrees" if disagrees else "clock_agrees"
            log.warning(event, server_ahead_s=round(ahead[0] / 1000, 1))
            self._disagrees = disagrees
        return verdict.became_known

    def release(self, outbox: Holder) -> int:
        """Give all held rounds their time, once it is known; give how many there were."""
        if not self.is_known or not (held := outbox.held_boots()):
            return 0
        guesses = self._guesses()
        released = 0
        for boot_id in held:
            to_slot, doubt = self._exact(boot_id), Reason.CLOCK_RESTAMPED
            if to_slot is None:
                to_slot, doubt = guesses.get(boot_id, ToSlot(0)), Reason.CLOCK_UNSYNCED
            count = outbox.restamp(boot_id, to_slot, doubt)
            log.info("rounds_restamped", boot=boot_id, count=count, doubt=doubt.name.lower())
            released += count
        return released

    def _exact(self, boot_id: str) -> ToSlot | None:
        boot = self._kept.boots.get(boot_id)
        if boot is None or boot.true_ms is None:
            return None
        return ToSlot(boot.true_ms - boot.provisional_ms)

    def _guesses(self) -> dict[str, ToSlot]:
        """Give where the boots are put that never knew the time."""
        unknown = {n: b for n, b in self._kept.boots.items() if b.true_ms is None}
        spans_ms = [
            (b.provisional_ms, b.provisional_ms + b.marked_ms + round(MARKS_SAVED_S * 1000))
            for b in unknown.values()
        ]
        shifts = put_before(spans_ms, round(self._truth.offset_ms))
        return dict(zip(unknown, shifts, strict=True))

    def save(self) -> None:
        """Keep what is known on the card; failing is no harm."""
        if self.is_known:
            self._kept.known_ms = self.now_ms()
            self._boot.true_ms = round(self._truth.offset_ms)
        try:
            self._kept.save()
        except OSError as error:
            log.warning("clock_not_saved", file=str(self._kept.path), error=str(error))

    def values(self) -> Mapping[str, float]:
        """Give how the clock is, by measurand; no offset when the server was not heard lately."""
        found = {"clock_known": float(self.is_known), "clock_steps_total": float(self.steps_total)}
        with self._lock:
            ahead = self._truth.server_ahead_ms(self._uptime_ms())
        return found if ahead is None else found | {"clock_offset_s": ahead[0] / 1000}

    def status(self) -> dict[str, object]:
        """Give how the clock is as plain data."""
        source = self._truth.source.name.lower()
        return {"source": source, "trust": self._truth.trust, **self.values()}
